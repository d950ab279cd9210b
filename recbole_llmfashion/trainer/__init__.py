"""One RecBole trainer per kind of model."""
