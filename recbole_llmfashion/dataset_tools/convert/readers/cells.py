"""Converts values of any JSON type into the cells of atomic files."""

import re
from typing import Any

# 1995 to 2100 in milliseconds; seconds and microseconds are outside of this range
FIRST_MILLISECOND, LAST_MILLISECOND = 788_918_400_000, 4_102_444_799_999
NOT_MILLISECONDS = "is not milliseconds between 1995 and 2100"
_BREAKS = re.compile(r"[\s\0]+")
_HASHED = re.compile(r"[\s,\[\]]+")
_WORDS = ("none", "null", "nan")


def as_id(value: Any) -> str | None:
    """An id as text: a string that is not blank, or an integer; None for any other value.

    >>> as_id(" B01 "), as_id(12), as_id(True), as_id("  ")
    ('B01', '12', None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value).strip()
    # JSON allows a lone surrogate, UTF-8 does not
    return text if text and _encodable(text) else None


def as_text(value: Any) -> str:
    """A value as one line of text.

    Runs of white space become one space, characters that UTF-8 does not allow become "?", lists are joined by ", ".
    Null, booleans, objects and the words none, null and nan in any case give "".

    >>> as_text(["Red\\n Boots", None, 8]), as_text("NaN")
    ('Red Boots, 8', '')
    """
    if isinstance(value, list):
        return ", ".join(filter(None, (as_text(entry) for entry in value if not isinstance(entry, list))))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    text = _BREAKS.sub(" ", str(value)).strip()
    if text.lower() in _WORDS:
        return ""
    return text if _encodable(text) else text.encode("utf-8", "replace").decode("utf-8")


def as_path(levels: Any) -> str:
    """The levels of a category, from the top, joined by " > "; a level that repeats the one above is left out.

    >>> as_path(["Clothing", "Women", "Women", None, "Boots"])
    'Clothing > Women > Boots'
    """
    names = [as_text(level) for level in levels] if isinstance(levels, (list, tuple)) else [as_text(levels)]
    return " > ".join(name for i, name in enumerate(names) if name and name not in names[:i][-1:])


def hashed_words(text: str) -> list[str]:
    """The hashed words of a text, each as `w` and its number, in order and each once; other words are left out.

    A number alone would not count as a word.

    >>> hashed_words("1116713 n277.200 960601,1116713")
    ['w1116713', 'w960601']
    """
    return [f"w{word}" for word in dict.fromkeys(_HASHED.split(text)) if word.isdigit()]


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
