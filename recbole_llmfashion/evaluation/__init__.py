"""Ranks and metrics of every model, the result table, significance tests."""
