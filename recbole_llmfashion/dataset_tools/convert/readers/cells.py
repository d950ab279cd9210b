"""Values of any JSON type or any text as the cells of atomic files: an id, one line of text, or nothing.

Knows types and characters. Does NOT know which field a value comes from.
"""

import re
from typing import Any

_BREAKS = re.compile(r"[\s\0]+")
_WORDS = ("none", "null", "nan")


def as_id(value: Any) -> str | None:
    """A string that is not blank, or a whole number; None for whatever is no id."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value).strip()
    # a lone surrogate is legal in JSON and in no file
    return text if text and _encodable(text) else None


def as_text(value: Any) -> str:
    """One line: white space folded, characters that no file can hold as "?"; lists are joined by ", ".

    Null, true and false, objects, and the words none, null and nan in any case give "".
    """
    if isinstance(value, list):
        return ", ".join(filter(None, (as_text(one) for one in value if not isinstance(one, list))))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    text = _BREAKS.sub(" ", str(value)).strip()
    if text.lower() in _WORDS:
        return ""
    return text if _encodable(text) else text.encode("utf-8", "replace").decode("utf-8")


def as_path(levels: Any) -> str:
    """Levels of a category from the top, ` > ` between them; a level that repeats the one above is left out."""
    names = [as_text(level) for level in levels] if isinstance(levels, (list, tuple)) else [as_text(levels)]
    kept = [name for i, name in enumerate(names) if name and name not in names[:i][-1:]]
    return " > ".join(kept)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
