"""Atomic files to clean rows to a user's timeline."""
