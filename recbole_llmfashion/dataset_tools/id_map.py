"""Renames ids with characters that atomic files do not allow (white space, comma, NUL) and writes the list of them."""

import re
from collections.abc import Iterable

_BREAK = re.compile(r"[\s,\0]+")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def rename_ids(originals: Iterable[str]) -> dict[str, str]:
    """New ids for those that contain white space, a comma or a NUL byte.

    Each run of such characters becomes one underscore; if the result exists already, `_2`, `_3`, .. is added.

    Returns:
        original -> new id, without the ids that need no other. Distinct ids get distinct new ids.

    >>> rename_ids(["a b", "c", "a,b", "a_b"])
    {'a b': 'a_b_2', 'a,b': 'a_b_3'}
    """
    distinct = list(dict.fromkeys(originals))
    taken = {name for name in distinct if not _BREAK.search(name)}
    renamed: dict[str, str] = {}
    for original in distinct:
        if not _BREAK.search(original):
            continue
        base = name = _BREAK.sub("_", original)
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        renamed[original] = name
    return renamed


def map_text(column: str, renamed: dict[str, str]) -> str:
    """The renamed ids as `<new id><TAB><original>` lines below a header.

    Tabs, line ends, NUL bytes and backslashes of an original are escaped by a backslash.

    Args:
        column: header of the first column.
        renamed: as returned by `rename_ids`.

    >>> map_text("item_id", {"a b": "a_b"})
    'item_id\\toriginal\\na_b\\ta b\\n'
    """
    lines = [f"{column}\toriginal", *(f"{new}\t{original.translate(_ESCAPES)}" for original, new in renamed.items())]
    return "\n".join(lines) + "\n"
