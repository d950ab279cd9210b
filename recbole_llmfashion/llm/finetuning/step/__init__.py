"""One optimizer step of a fine-tuning: loss, gradients over workers, and the update."""
