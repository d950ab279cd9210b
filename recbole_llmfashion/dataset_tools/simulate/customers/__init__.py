"""Who shops: users, their intents, sessions and queries."""
