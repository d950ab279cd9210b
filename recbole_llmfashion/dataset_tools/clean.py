"""Cleans a log as docs/method.md describes: sorts it, cuts it after the final purchase, leaves out unusable users.

Cells are not changed and the click filter is not applied; the files keep all clicks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder, file_names
from recbole_llmfashion.data.atomic.writer import folder_sha256, write_folder
from recbole_llmfashion.data.images.image_file import images_path
from recbole_llmfashion.data.split import final_purchases
from recbole_llmfashion.errors import UserError


@dataclass(frozen=True)
class CleanCounts:
    """What cleaning kept and left out.

    Args:
        users, interactions, searches: kept.
        users_without_purchase: left out.
        users_too_short: left out, because they have fewer than two item actions up to their final purchase.
        actions_after_purchase: dropped rows of kept users.
        searches_of_left_out_users, searches_after_purchase: dropped searches.
        moved: kept rows, searches included, that were moved by sorting.
    """

    users: int
    interactions: int
    searches: int
    users_without_purchase: int
    users_too_short: int
    actions_after_purchase: int
    searches_of_left_out_users: int
    searches_after_purchase: int
    moved: int

    def lines(self) -> list[str]:
        """The counts as lines of text."""
        return [
            f"kept: {self.users:,} users, {self.interactions:,} item actions, {self.searches:,} searches"
            f" ({self.moved:,} rows moved into order)",
            f"users left out: {self.users_without_purchase:,} without a purchase,"
            f" {self.users_too_short:,} with fewer than two item actions up to the final purchase",
            f"cut after a user's final purchase: {self.actions_after_purchase:,} item actions,"
            f" {self.searches_after_purchase:,} searches",
            f"searches of users left out: {self.searches_of_left_out_users:,}",
        ]


def clean(folder: AtomicFolder) -> tuple[AtomicFolder, CleanCounts]:
    """Return a dataset that `check_clean` accepts (docs/method.md, "Rows"), and the counts; idempotent.

    Users are in the order of their first row, their rows in order of time, equal times in file order. Dropped are rows
    after the final purchase; users without a purchase or with fewer than two remaining rows, with their searches; and
    searches later than the final purchase (a search at the same time is kept).

    Raises:
        UserError: no user is usable.
    """
    actions = folder.interactions
    rank, names = pd.factorize(actions["user_id"])
    order = np.lexsort((actions["timestamp"].to_numpy(), rank))
    rank = rank[order]
    final = final_purchases(rank, (actions["action"].to_numpy() == "purchase")[order])
    before = np.arange(len(order)) <= final[rank]
    length = np.bincount(rank[before], minlength=len(names))
    usable = length >= 2
    keep = before & usable[rank]
    if not usable.any():
        raise UserError(
            f"{folder.name}: no usable user: each of the {len(names):,} has no purchase, or fewer than two item"
            " actions up to the final purchase; check the action column or add data"
        )
    interactions = actions.iloc[order[keep]].reset_index(drop=True)
    ends = pd.Series(actions["timestamp"].to_numpy()[order[final[usable]]], index=names[usable])
    searches, search_order, of_others, late = _clean_searches(folder.searches, ends)
    counts = CleanCounts(
        users=int(usable.sum()),
        interactions=len(interactions),
        searches=len(searches),
        users_without_purchase=int((final < 0).sum()),
        users_too_short=int(((final >= 0) & ~usable).sum()),
        actions_after_purchase=int((usable[rank] & ~before).sum()),
        searches_of_left_out_users=of_others,
        searches_after_purchase=late,
        moved=_moved(order[keep]) + _moved(search_order),
    )
    return replace(folder, interactions=interactions, searches=searches), counts


def _clean_searches(searches: pd.DataFrame, ends: pd.Series) -> tuple[pd.DataFrame, np.ndarray, int, int]:
    """Select and sort the searches of the kept users.

    Args:
        searches: of an AtomicFolder.
        ends: time of each kept user's final purchase, by user id, in the order of the users.

    Returns:
        (kept searches, their old rows, number of searches of other users, number of searches after the purchase).
    """
    users = ends.index.get_indexer(pd.Index(searches["user_id"]))
    times = searches["timestamp"].to_numpy()
    of_kept = users >= 0
    late = of_kept & (times > ends.to_numpy()[users])
    order = np.lexsort((times, users))
    order = order[(of_kept & ~late)[order]]
    return searches.iloc[order].reset_index(drop=True), order, int((~of_kept).sum()), int(late.sum())


def _moved(rows: np.ndarray) -> int:
    """Number of kept rows that sorting has moved."""
    return int((rows != np.sort(rows)).sum())


def write_elsewhere(folder: AtomicFolder, out: Path) -> None:
    """Write a cleaned dataset, its pictures and the keys of its `<name>.yaml` to another folder, whose name it gets.

    Raises:
        UserError: the folder has files other than those that are written.
    """
    copy = replace(folder, name=out.resolve().name, path=out)
    sources = {
        f"{copy.name}.yaml": folder.path / f"{folder.name}.yaml",
        images_path(out, copy.name).name: images_path(folder.path, folder.name),
    }
    copied = {file: source.read_bytes() for file, source in sources.items() if source.is_file()}

    def others(data_sha256: str) -> Iterable[tuple[str, bytes]]:
        for file in _others_in(out, copy.name, data_sha256, copied)[:1]:
            raise UserError(f"--out: expected a new or empty folder, found {file} in {out}; choose another folder")
        return copied.items()

    write_folder(copy, others, option="--out")


def _others_in(out: Path, name: str, data_sha256: str, copied: Mapping[str, bytes]) -> list[str]:
    """The files of a folder that are not those of a dataset with this hash and these copies."""
    present = sorted(path.name for path in out.iterdir() if path.name[0] != ".")
    same = {file for file, content in copied.items() if file in present and (out / file).read_bytes() == content}
    if folder_sha256(out, name) == data_sha256:
        same.update(file_names(name))
    return [file for file in present if file not in same]
