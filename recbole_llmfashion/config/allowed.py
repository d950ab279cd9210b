"""What values a key may have: the words of an error message and of docs/config.md, and the test itself."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Allowed:
    """The values of a key, or of a field of a dict key.

    Args:
        words: completes "expected ..".
        holds: whether a value is one of them; takes any value that YAML can give.
    """

    words: str
    holds: Callable[[Any], bool]


def _between(low: str, high: str) -> str:
    return f" {low} and {high}" if low and high else f" {low}{high}"


def whole(least: int | None = None, most: int | None = None) -> Allowed:
    """An int; True is none.

    >>> whole(1).holds(3), whole(1).holds(0), whole(1).holds(True), whole(1, 9).words
    (True, False, False, 'a whole number from 1 to 9')
    """
    words = "a whole number" + ("" if least is None else f" of {least} or more")
    if least is not None and most is not None:
        words = f"a whole number from {least} to {most}"

    def holds(value: Any) -> bool:
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return (least is None or value >= least) and (most is None or value <= most)

    return Allowed(words, holds)


def number(
    *, least: float | None = None, above: float | None = None, most: float | None = None, below: float | None = None
) -> Allowed:
    """A finite int or float; True is none.

    >>> number(least=0, below=1).words, number(above=0).holds(float("nan")), number(above=0).holds(1)
    ('a number of 0 or more and below 1', False, True)
    """
    low = f"of {least:g} or more" if least is not None else f"above {above:g}" if above is not None else ""
    high = f"at most {most:g}" if most is not None else f"below {below:g}" if below is not None else ""

    def holds(value: Any) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool) or not _finite(value):
            return False
        bounds = (
            least is None or value >= least,
            above is None or value > above,
            most is None or value <= most,
            below is None or value < below,
        )
        return all(bounds)

    return Allowed(f"a number{_between(low, high)}".rstrip(), holds)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def choice(*values: Any, any_case: bool = False) -> Allowed:
    """One of a few values, of the same type.

    Args:
        any_case: whether texts may be written in upper or lower case.

    >>> choice("m", 0).holds(False), choice("adam", any_case=True).holds("Adam"), choice("m", 0).words
    (False, True, 'one of m, 0')
    """
    known = {(type(value), value.lower() if any_case and isinstance(value, str) else value) for value in values}

    def holds(value: Any) -> bool:
        given = value.lower() if any_case and isinstance(value, str) else value
        return isinstance(given, str | int | float) and (type(given), given) in known

    return Allowed(("one of " if len(values) > 1 else "") + ", ".join(map(str, values)), holds)


def list_of(each: Allowed, plural: str, least: int = 0, most: int | None = None) -> Allowed:
    """A list.

    Args:
        each: of its entries.
        plural: names the entries.
        least, most: number of entries.

    >>> list_of(whole(1), "whole numbers of 1 or more", least=1).words
    'a list of one or more whole numbers of 1 or more'
    """
    count = "" if not least else "one or more " if least == 1 else f"{least} or more "
    if least == most:
        count = f"{least} "

    def holds(value: Any) -> bool:
        fits = isinstance(value, list) and len(value) >= least and (most is None or len(value) <= most)
        return fits and all(map(each.holds, value))

    return Allowed(f"a list of {count}{plural}", holds)


def either(*ways: Allowed) -> Allowed:
    """What one of several allows."""
    return Allowed(" or ".join(way.words for way in ways), lambda value: any(way.holds(value) for way in ways))


def shown(value: Any) -> str:
    """A value as a message has it: on one line, and short.

    >>> shown("many"), shown([1, "x"]), shown(None)
    ("'many'", "'[1, 'x']'", 'nothing')
    """
    text = " ".join(str(value).split())
    return "nothing" if value is None else f"'{text if len(text) <= 80 else text[:77] + '..'}'"


BOOLEAN = Allowed("True or False", lambda value: isinstance(value, bool))
TEXT = Allowed("a text", lambda value: isinstance(value, str) and bool(value))
ANY_TEXT = Allowed("a text", lambda value: isinstance(value, str))  # an empty one too
EMPTY = Allowed("nothing", lambda value: value is None)
ANYTHING = Allowed("anything", lambda value: True)
DICT = Allowed("a dict", lambda value: isinstance(value, dict))
LIST = Allowed("a list", lambda value: isinstance(value, list))

_PIECE = re.compile(r"[\[(]([^,;]+),([^,;]+)[\])]")


def _intervals(value: Any) -> bool:
    """Whether RecBole reads a value as intervals; an unquoted [3,9] is a list in YAML, which RecBole reads too."""
    pieces = [_PIECE.fullmatch(text.strip()) for text in str(value).split(";")]
    try:
        return all(piece is not None and float(piece[1]) <= float(piece[2]) for piece in pieces)
    except ValueError:
        return False


INTERVALS = Allowed("an interval such as [3,inf), or several with semicolons between", _intervals)
VALUES = Allowed(
    'a dict of intervals or lists of values by column, such as {timestamp: "[0,1.7e9]", action: [purchase]}',
    lambda value: isinstance(value, dict) and all(isinstance(v, list) or _intervals(v) for v in value.values()),
)
COLUMN_NAME = Allowed(
    "the name of a column, without white space, colon or comma",
    lambda value: isinstance(value, str) and re.fullmatch(r"[^\s:,]+", value) is not None,
)

AT_LEAST_ZERO, AT_LEAST_ONE = whole(0), whole(1)
EVEN = Allowed("an even number above 0", lambda value: whole(2).holds(value) and value % 2 == 0)
ABOVE_ZERO, NOT_NEGATIVE, SHARE = number(above=0), number(least=0), number(least=0, most=1)
DROPOUT = number(least=0, below=1)
SEED = whole(0, 2**32 - 1)  # what numpy takes
RATE = number(above=0, most=10)  # of learning; a larger one ends in NaN
DECAY = number(least=0, most=10)
