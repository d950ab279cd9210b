"""Generation: constrained decoding, sampling, beam search, and a cache of responses."""
