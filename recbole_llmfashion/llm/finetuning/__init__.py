"""QLoRA fine-tuning with the curriculum (paper, section 4.3)."""
