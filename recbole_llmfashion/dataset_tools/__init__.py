"""Tools that make and check atomic files; nothing else in the package imports them but the command line."""
