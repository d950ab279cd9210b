"""Collects all errors of a dataset's files, counts rows, and reports whether their order can be that of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_llmfashion.data.atomic.field_names import PACKAGE_NAMES, FieldNames
from recbole_llmfashion.data.atomic.folder import AtomicError, AtomicFolder, scan_folder
from recbole_llmfashion.data.atomic.row_order import order_errors
from recbole_llmfashion.data.atomic.time_order import time_order
from recbole_llmfashion.dataset_tools.clean import clean
from recbole_llmfashion.dataset_tools.statistics import filled_attributes
from recbole_llmfashion.errors import UserError


@dataclass(frozen=True)
class Validation:
    """The result of `validate`.

    Args:
        problems: errors in file order.
        unlisted: number of further errors; a wrong cell is one.
        counts: lines of text; none if a cell is wrong.
        can_be_cleaned: whether cleaning leaves a user.
    """

    problems: list[AtomicError]
    unlisted: int
    counts: list[str]
    can_be_cleaned: bool = False


def validate(path: Path, limit: int = 20, show_progress: bool = False, names: FieldNames = PACKAGE_NAMES) -> Validation:
    """Check the cells of a dataset and, if they are correct, the order of its rows.

    Args:
        path: the dataset's folder.
        limit: largest number of errors in the result; the first errors of each kind come before others.
        show_progress: whether to show a progress bar.
        names: the names that the files have for user_id, item_id and timestamp.
    """
    errors: list[AtomicError] = []
    folder = scan_folder(path, errors.append, show_progress=show_progress, names=names)
    if folder is None:
        problems = _shorten(errors, limit)
        return Validation(problems, sum(e.alike for e in errors if e.first_of_kind) - len(problems), [])
    errors += order_errors(folder.path, folder.name, folder.interactions, folder.searches, folder.names)
    return Validation(errors, 0, *_counts(folder))


def _shorten(errors: Sequence[AtomicError], limit: int) -> list[AtomicError]:
    by_kind = sorted(range(len(errors)), key=lambda i: (not errors[i].first_of_kind, i))
    return [errors[i] for i in sorted(by_kind[:limit])]


def _counts(folder: AtomicFolder) -> tuple[list[str], bool]:
    """The counts as lines of text, and whether cleaning leaves a user."""
    actions = folder.interactions["action"].value_counts()
    try:
        cleaned, counts = clean(folder)
        unusable = counts.users_without_purchase + counts.users_too_short
        order, usable = time_order(cleaned.interactions).lines(), True
    except UserError:
        unusable = folder.interactions["user_id"].nunique()
        order, usable = [], False
    lines = [
        f"users: {folder.interactions['user_id'].nunique():,} ({unusable:,} unusable)",
        f"items: {len(folder.items):,}",
        f"items with an attribute: {filled_attributes(folder.items)}",
        f"item actions: {actions.get('click', 0):,} clicks, {actions.get('purchase', 0):,} purchases",
        f"searches: {len(folder.searches):,}",
        *order,
    ]
    return lines, usable
