"""The README.md of a converted dataset: its source, the steps of the conversion, statistics and the data's hash."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.statistics import filled_attributes, measure
from recbole_llmfashion.errors import UserError

MARK = "made by `recbole-llmfashion convert"
README = "README.md"
_QUERIES = {
    "none": "There are none.",
    "source": "They are those of the source.",
    "derived": "**DERIVED, not typed by users.** Each is made from the category path or the first title words of an"
    " earlier item of the same user (after Van Gysel et al. 2016, arXiv 1608.07253) and precedes a later action."
    " Results with them say nothing about real queries.",
}


@dataclass(frozen=True)
class Origin:
    """Where a dataset comes from.

    Args:
        command: subcommand of `convert`.
        title: name of the source.
        settings: lines about the settings.
        searches: a remark on the source's searches, or "".
    """

    command: str
    title: str
    settings: tuple[str, ...] = ()
    searches: str = ""


def refuse_foreign(out: Path) -> None:
    """Raise a UserError if `out` has files beside `<name>.yaml`, and no README.md that `convert` wrote."""
    path = out / README
    if path.is_file():
        if MARK not in path.read_text(encoding="utf-8", errors="replace"):
            raise UserError(f"--out: {path} was not written by convert and would be overwritten; choose another folder")
        return
    if files := foreign_files(out):
        raise UserError(f"--out: {out} has files that convert did not write, such as {files[0]}; choose another folder")


def foreign_files(out: Path) -> list[str]:
    """The names of what a folder has, but for hidden files and the keys of the dataset."""
    keys = f"{out.resolve().name}.yaml"
    there = out.iterdir() if out.is_dir() else ()
    return sorted(path.name for path in there if path.name[0] != "." and path.name != keys)


def render(folder: AtomicFolder, data_sha256: str, origin: Origin, notes: list[str], searches: str) -> str:
    """The README.md of a dataset.

    Args:
        folder: the dataset.
        data_sha256: hash of its files.
        origin: where it comes from.
        notes: lines of text about the conversion.
        searches: none, source or derived.
    """
    s, actions = measure(folder), folder.interactions
    first, last = (_day(actions["timestamp"].agg(which)) for which in ("min", "max"))
    clicks = int((actions["action"] == "click").sum())
    lines = "\n".join(f"- {line}" for line in [*origin.settings, *notes])
    return f"""# {folder.name}

From {origin.title}; {MARK} {origin.command}`, see docs/data.md. The licence of the source applies to these files.

| | |
|---|---|
| users | {s.users:,} |
| items in the catalogue (seen in a click or purchase) | {s.items:,} ({s.items_seen:,}) |
| interactions after the paper's click filter (as in Table 1) | {s.interactions:,} |
| mean length | {s.mean_length:.2f} |
| interactions per item | {s.per_item:.2f} |
| density: interactions / (users x items) | {s.density:.2e} |
| rows in `.inter` (clicks, purchases) | {s.rows:,} ({clicks:,}, {s.rows - clicks:,}) |
| first and last action, if times are unix seconds | {first}, {last} |
| searches (unique queries) | {s.searches:,} ({s.unique_queries:,}) |
| items with an attribute | {filled_attributes(folder.items)} |
| SHA-256 of `.inter`, `.search`, `.item` | `{data_sha256}` |

## Searches
{_QUERIES[searches]}{" " * bool(origin.searches)}{origin.searches}

## Conversion
{lines}
"""


def _day(seconds: float) -> str:
    try:
        return f"{pd.Timestamp(seconds, unit='s'):%Y-%m-%d}"
    except (ValueError, OverflowError):
        return f"{seconds:.17g} (no date)"
