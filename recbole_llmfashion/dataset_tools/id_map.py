"""Ids that break the rule of atomic files (white space, comma, NUL) get others, and the list of them goes to a file.

Knows ids alone. Does NOT know tables or datasets.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from recbole_llmfashion.errors import UserError

_BREAK = re.compile(r"[\s,\0]+")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def rename_ids(originals: Iterable[str]) -> dict[str, str]:
    """New ids for those that hold white space, a comma or a NUL byte; the others keep theirs and are not listed.

    Each run of such characters becomes one underscore; where the result is taken, `_2`, `_3`, .. is added. The outcome
    depends on the ids and their order alone, and no two ids become one.
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


def write_map(path: Path, column: str, renamed: dict[str, str]) -> None:
    """Write `<column><TAB>original` lines; tab, line ends, NUL and backslash of an original are backslash-escaped.

    Nothing renamed: no file, and one of an earlier conversion is removed.

    Raises:
        UserError: if the file cannot be written.
    """
    lines = [f"{column}\toriginal", *(f"{new}\t{original.translate(_ESCAPES)}" for original, new in renamed.items())]
    try:
        path.unlink(missing_ok=True)
        if renamed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(("\n".join(lines) + "\n").encode("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot write ({error.strerror}); free space or choose another folder") from error
