"""The exception for errors that the user can fix, and hints for its message."""

import difflib
from collections.abc import Iterable

FREE_SPACE = "free space, then run the same command; finished stages stay"  # the end of each message about a full disk


class UserError(Exception):
    """An error that the user can fix; its message is one line that says what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with status 2. Every other exception is a bug.
    """


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.5) -> str:
    """The nearest known name, whatever its case, as a question.

    Args:
        otherwise: said where none is near; all known names where it is empty.
        cutoff: least likeness, from 0 to 1, as difflib has it.
    """
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=cutoff)
    if near:
        return f"did you mean '{by_lower[near[0]]}'?"
    return otherwise or f"known: {', '.join(by_lower.values()) or 'nothing'}"
