"""Token ids to (ID, title)."""
