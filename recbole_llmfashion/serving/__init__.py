"""Recommendations from a trained run: in Python, over HTTP, as a demo page and in batches. Trains nothing."""
