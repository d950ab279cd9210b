"""Pre-training of the Falcon that ships with the package."""
