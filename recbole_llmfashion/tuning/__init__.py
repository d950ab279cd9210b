"""Hyper-parameter search on the validation metric, with Ray Tune."""
