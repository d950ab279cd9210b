"""Ray clusters, and fine-tuning on several workers."""
