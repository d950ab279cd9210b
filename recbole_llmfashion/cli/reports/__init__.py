"""Commands that measure a run and write a page about it."""
