"""Everything that is wrong with a folder of atomic files, and what it holds.

Knows how to gather and shorten what the reader and the order check report. Does NOT mend anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_llmfashion.data.atomic.folder import AtomicError, AtomicFolder, scan_folder
from recbole_llmfashion.data.atomic.row_order import order_errors
from recbole_llmfashion.dataset_tools.clean import clean
from recbole_llmfashion.errors import UserError


@dataclass(frozen=True)
class Validation:
    """problems: the findings, in file order; unlisted: how many more were found; counts: lines for the terminal."""

    problems: list[AtomicError]
    unlisted: int
    counts: list[str]


def validate(path: Path, limit: int = 20, show_progress: bool = False) -> Validation:
    """Check a dataset's cells, and where those are sound the order of its rows.

    Args:
        path: the folder of a dataset; limit: problems listed at most, the first of each kind before others.
    """
    found: list[AtomicError] = []
    folder = scan_folder(path, found.append, show_progress=show_progress)
    if folder is None:
        listed = _shorten(found, limit)
        return Validation(listed, len(found) - len(listed), [])
    found += order_errors(folder.path, folder.name, folder.interactions, folder.searches)
    return Validation(found, 0, _counts(folder))


def _shorten(found: Sequence[AtomicError], limit: int) -> list[AtomicError]:
    by_kind = sorted(range(len(found)), key=lambda i: (not found[i].first_of_kind, i))
    return [found[i] for i in sorted(by_kind[:limit])]


def _counts(folder: AtomicFolder) -> list[str]:
    actions = folder.interactions["action"].value_counts()
    try:
        counts = clean(folder)[1]
        unusable = counts.users_without_purchase + counts.users_too_short
    except UserError:
        unusable = folder.interactions["user_id"].nunique()
    return [
        f"users: {folder.interactions['user_id'].nunique():,} ({unusable:,} unusable)",
        f"items: {len(folder.items):,}",
        f"item actions: {actions.get('click', 0):,} clicks, {actions.get('purchase', 0):,} purchases",
        f"searches: {len(folder.searches):,}",
    ]
