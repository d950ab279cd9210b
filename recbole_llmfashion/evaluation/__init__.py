"""Ranks and metrics of every model, the result table and significance tests."""
