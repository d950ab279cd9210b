"""Backbones, adapters, quantization, item embeddings."""
