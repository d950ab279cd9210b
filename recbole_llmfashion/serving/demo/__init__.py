"""A run on a page: what a customer does, what the LLM is asked and says, and the lists that come of it."""
