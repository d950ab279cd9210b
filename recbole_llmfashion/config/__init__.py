"""Layered YAML and the command line to a RecBole Config."""
