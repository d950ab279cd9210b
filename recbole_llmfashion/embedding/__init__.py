"""Text encoders (title model, CLIP text tower), vector indexes and residual quantization."""
