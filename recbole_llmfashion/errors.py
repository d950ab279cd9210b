"""The one exception whose text is meant for the person at the terminal, and the hint that it often ends with."""

import difflib
from collections.abc import Iterable

FREE_SPACE = "free space, then run the same command; finished stages stay"  # ends each line about a full disk


class UserError(Exception):
    """Something the user can mend: one line that says what, where and what to do.

    The command line prints the text alone and exits with status 2; every other exception is a bug of ours.
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
