"""QLoRA fine-tuning with a perplexity curriculum (paper, section 4.3)."""
