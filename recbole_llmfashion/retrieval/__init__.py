"""(ID, title) to ranked items."""
