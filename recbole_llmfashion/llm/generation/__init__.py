"""Decoding: constrained, sampled, beams; responses by prompt."""
