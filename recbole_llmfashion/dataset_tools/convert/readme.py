"""The README.md of a converted folder: its source, what was done to it, its statistics and the hash of its data.

Knows the finished folder and lines of text. Does NOT know how a source was read.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import ITEM_ATTRIBUTES, AtomicFolder, folder_sha256
from recbole_llmfashion.dataset_tools.statistics import measure
from recbole_llmfashion.errors import UserError

MARK = "made by `recbole-llmfashion convert"
_NAME = "README.md"
_QUERIES = {
    "none": "There are none.",
    "source": "They are the source's.",
    "derived": "**DERIVED, nobody typed them.** Each was written from the category path, or the first title words, of"
    " an earlier item of the same user (after Van Gysel et al. 2016, arXiv 1608.07253), and stands before a later"
    " action. What they add to a result says nothing about real queries.",
}


@dataclass(frozen=True)
class Origin:
    """Where a folder's data came from.

    command: the sub-command; title: the source's name; settings: the choices made, a line each; searches: what to say
    about the source's searches, "" for nothing more.
    """

    command: str
    title: str
    settings: tuple[str, ...] = ()
    searches: str = ""


def refuse_foreign(out: Path) -> None:
    """Raise a UserError where a README.md of somebody else's would be overwritten, or `out` is a file."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder")
    path = out / _NAME
    if path.is_file() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise UserError(f"{path} was not made by convert and would be overwritten; name another folder")


def write_readme(folder: AtomicFolder, origin: Origin, notes: list[str], searches: str) -> None:
    """Write it beside the files, which must be there.

    Args:
        notes: what the conversion counted, a line each; searches: a key of what is said about them.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        (folder.path / _NAME).write_text(_render(folder, origin, notes, searches), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder.path / _NAME}: cannot write ({error.strerror}); free space") from error


def _render(folder: AtomicFolder, origin: Origin, notes: list[str], searches: str) -> str:
    s, actions = measure(folder), folder.interactions
    first, last = (_day(actions["timestamp"].agg(which)) for which in ("min", "max"))
    filled = ", ".join(f"{name} {(folder.items[name] != '').mean():.1%}" for name in ITEM_ATTRIBUTES)
    clicks = int((actions["action"] == "click").sum())
    lines = "\n".join(f"- {line}" for line in [*origin.settings, *notes])
    return f"""# {folder.name}

From {origin.title}; {MARK} {origin.command}`, described in docs/data.md. The source's licence applies to these files.

| | |
|---|---|
| users | {s.users:,} |
| items in the catalogue (seen in a click or purchase) | {s.items:,} ({s.items_seen:,}) |
| interactions after the paper's click filter, as Table 1 counts them | {s.interactions:,} |
| mean length | {s.mean_length:.2f} |
| interactions per item | {s.per_item:.2f} |
| rows in `.inter` (clicks, purchases) | {s.rows:,} ({clicks:,}, {s.rows - clicks:,}) |
| first and last action, taking times for unix seconds | {first}, {last} |
| searches (unique queries) | {s.searches:,} ({s.unique_queries:,}) |
| items with an attribute | {filled} |
| SHA-256 of `.inter`, `.search`, `.item` | `{folder_sha256(folder.path, folder.name)}` |

## Searches
{_QUERIES[searches]}{" " * bool(origin.searches)}{origin.searches}

## What was done
{lines}
"""


def _day(seconds: float) -> str:
    try:
        return f"{pd.Timestamp(seconds, unit='s'):%Y-%m-%d}"
    except (ValueError, OverflowError):
        return f"{seconds:.17g} (no date)"
