"""A run at work: what a customer did in, ten items out; new items in, gone items out. Nothing here trains."""
