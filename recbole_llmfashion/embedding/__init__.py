"""Text to unit vectors to neighbours; knows no RecBole."""
