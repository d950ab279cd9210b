"""Timeline to token ids."""
