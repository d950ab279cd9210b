"""What a web service needs around a Recommender: limits, token, journal of changes, counters, routes. No Ray here."""
