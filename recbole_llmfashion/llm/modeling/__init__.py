"""Backbones, quantization, LoRA adapters and item embeddings."""
