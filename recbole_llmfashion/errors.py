"""The one exception whose text is meant for the person at the terminal."""


class UserError(Exception):
    """Something the user can mend: one line that says what, where and what to do.

    The command line prints the text alone and exits with status 2; every other exception is a bug of ours.
    """
