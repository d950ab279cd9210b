"""Checks of what a run folder holds.

A signature says that a file is the one that was written, not that it was written well. Every check is made when a run
is loaded, so that no wrong entry is found by the first customer; each error names the file and the part of it.
"""
