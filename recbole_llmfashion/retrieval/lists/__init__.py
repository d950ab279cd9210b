"""The ranked lists, one source each."""
