"""The exception for errors that the user can fix, and hints for its message."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

FREE_SPACE = "free space, then run the same command; finished stages stay"  # the end of each message about a full disk


class UserError(Exception):
    """An error that the user can fix; its message is one line that says what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with status 2. Every other exception is a bug.
    """


class FullDiskError(UserError):
    """A disk without room: whatever else the command would write fails too, so it ends."""


def nearest_name(name: str, known: Iterable[str], cutoff: float = 0.4) -> str | None:
    """The known name that is most similar to `name`, regardless of case; None if none is similar enough.

    Args:
        cutoff: least similarity, from 0 to 1, as difflib computes it.

    >>> nearest_name("SASrec", ["SASRec", "CORE"])
    'SASRec'
    """
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=cutoff)
    return by_lower[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.5) -> str:
    """A hint for a message about an unknown name: the most similar known name, or all known names.

    Args:
        otherwise: the hint where no name is similar, instead of all known names.
        cutoff: see `nearest_name`.

    >>> did_you_mean("SASrec", ["SASRec", "CORE"])
    "did you mean 'SASRec'?"
    >>> did_you_mean("x", ["SASRec", "CORE"])
    'known: SASRec, CORE'
    """
    known = list(known)
    near = nearest_name(name, known, cutoff)
    if near is not None:
        return f"did you mean '{near}'?"
    return otherwise or f"known: {', '.join(known) or 'nothing'}"


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around imports of packages that an extra of pyproject.toml installs.

    Raises:
        UserError: one of them is not installed; names the package and the extra.

    >>> with needs_extra("study"):  # doctest: +ELLIPSIS
    ...     import no_such_package
    Traceback (most recent call last):
    recbole_llmfashion.errors.UserError: no_such_package is not installed; run `uv sync --extra study` or ...
    """
    try:
        yield
    except ImportError as error:
        if error.name and error.name.split(".")[0] == __name__.split(".")[0]:
            raise  # a bug of this package
        raise _missing(error.name, extra) from None


def check_extra(extra: str, *packages: str) -> None:
    """Checks packages that an extra installs without importing them, so that a command says at once what is missing.

    Raises:
        UserError: one of them is not installed; names the package and the extra.

    >>> check_extra("study", "no_such_package")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    recbole_llmfashion.errors.UserError: no_such_package is not installed; run `uv sync --extra study` or ...
    """
    for package in packages:
        if find_spec(package) is None:
            raise _missing(package, extra)


def _missing(package: str | None, extra: str) -> UserError:
    hint = f'run `uv sync --extra {extra}` or `pip install "recbole-llmfashion[{extra}]"`'
    return UserError(f"{package} is not installed; {hint}")
