"""Streams of rows out of CSV and JSON files, with bad lines counted."""
