"""The language model: batches of token ids, backbones and adapters, fine-tuning, generation, pre-training."""
