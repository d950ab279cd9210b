"""The last steps of every converter: rename ids, clean the log, derive queries, write the files and README.md."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import ITEM, AtomicFolder
from recbole_llmfashion.data.atomic.time_order import time_order
from recbole_llmfashion.data.atomic.writer import write_folder
from recbole_llmfashion.data.images.image_file import images_path
from recbole_llmfashion.dataset_tools.clean import clean
from recbole_llmfashion.dataset_tools.convert.attributes import attribute_numbers, empty_attributes
from recbole_llmfashion.dataset_tools.convert.derived_queries import derive_searches
from recbole_llmfashion.dataset_tools.convert.readme import README, Origin, render
from recbole_llmfashion.dataset_tools.id_map import map_text, rename_ids
from recbole_llmfashion.errors import UserError

Describe = Callable[[AtomicFolder], AtomicFolder]


class DerivedQueries(StrEnum):
    """Whether to derive searches for a log without searches: `none`, or `category` (from the category path)."""

    none = "none"
    category = "category"


@dataclass(frozen=True)
class Raw:
    """A converted log before cleaning, with the source's ids.

    Args:
        events: user_id, item_id, action, timestamp.
        catalogue: item_id, title, the attributes, and further columns that `.item` keeps; texts.
        log: the searches: user_id, timestamp, query, results (lists of item ids).
        resolution: resolution of the times in seconds, 0 for exact times.
        describe: completes the items of the clean dataset, or None.
    """

    events: pd.DataFrame
    catalogue: pd.DataFrame
    log: pd.DataFrame
    resolution: float = 0.0
    describe: Describe | None = None


def refuse_both(queries: DerivedQueries, has_searches: bool) -> None:
    """Raise a UserError if queries are to be derived for a log that has searches."""
    if queries is DerivedQueries.category and has_searches:
        raise UserError("--queries: expected none for a log with searches, found category; remove one of the two")


def finish(
    raw: Raw,
    out: Path,
    origin: Origin,
    notes: list[str],
    queries: DerivedQueries = DerivedQueries.none,
    all_items: bool = True,
) -> AtomicFolder:
    """Rename ids, clean the log, derive queries and write the dataset.

    Args:
        raw: the log.
        out: the dataset's folder.
        origin: for the README.md.
        notes: lines of text for the README.md; the counts are appended.
        queries: whether to derive searches.
        all_items: whether to keep items without an action or a search result after cleaning.

    Raises:
        UserError: no user is usable, or a file cannot be written.
    """
    item_names = rename_ids(raw.catalogue["item_id"])
    user_names = rename_ids([*raw.events["user_id"].unique(), *raw.log["user_id"].unique()])
    further = {name: "token" for name in raw.catalogue.columns if name not in ITEM.types}
    frames = _renamed_frames(raw, item_names, user_names)
    folder, counts = clean(AtomicFolder(out.resolve().name, out, *frames, further))
    if not all_items:
        folder = _seen_only(folder)
    if raw.describe is not None:
        folder = raw.describe(folder)
    searches = "source" if len(folder.searches) else "none"
    notes += [*counts.lines(), f"items: {len(folder.items):,}", *time_order(folder.interactions).lines()]
    if empty := empty_attributes(folder.items):
        notes.append(f"attributes that are empty for every item: {', '.join(empty)}")
    if queries is DerivedQueries.category:
        derived, without = derive_searches(folder.interactions, folder.items, raw.resolution)
        folder, searches = replace(folder, searches=derived), "derived"
        notes.append(f"searches derived from earlier items: {len(derived):,}; {without:,} times the item had no words")
    maps = {
        "item_map.tsv": ("item_id", _kept(item_names, folder.items["item_id"])),
        "user_map.tsv": ("user_id", _kept(user_names, folder.interactions["user_id"])),
    }
    if any(renamed for _, renamed in maps.values()):
        counted = [f"{len(names):,} {column[:-3]} ids ({file})" for file, (column, names) in maps.items()]
        notes.append(f"renamed: {', '.join(counted)}")

    def others(data_sha256: str) -> Iterator[tuple[str, str]]:
        yield from ((file, map_text(*content)) for file, content in maps.items() if content[1])
        yield README, render(folder, data_sha256, origin, notes, searches)

    pictures = images_path(out, folder.name)
    described = pictures.is_file()
    unused = [file for file, (_, renamed) in maps.items() if not renamed]
    write_folder(folder, others, remove=[*unused, pictures.name], option="--out")
    if described:  # behind README.md, which the same source writes alike
        notes.append(f"{pictures.name}, the pictures of the items before, removed; run describe-images again")
    return folder


def _renamed_frames(
    raw: Raw, items: Mapping[str, str], users: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    events = raw.events.assign(
        user_id=_renamed(raw.events["user_id"], users), item_id=_renamed(raw.events["item_id"], items)
    )
    results = [" ".join(items.get(item, item) for item in row) for row in raw.log["results"]]
    log = raw.log.assign(
        user_id=_renamed(raw.log["user_id"], users),
        results=pd.Series(results, index=raw.log.index, dtype=object),
    )
    catalogue = raw.catalogue.assign(item_id=_renamed(raw.catalogue["item_id"], items))
    for name in [name for name in catalogue.columns if ITEM.types.get(name) == "float"]:
        catalogue[name] = attribute_numbers(catalogue[name])
    return (events.reset_index(drop=True), log.reset_index(drop=True), catalogue.reset_index(drop=True))


def _renamed(ids: pd.Series, names: Mapping[str, str]) -> pd.Series:
    return ids.map(lambda name: names.get(name, name)) if names else ids


def _seen_only(folder: AtomicFolder) -> AtomicFolder:
    results = {item for cell in folder.searches["results"] for item in cell.split()}
    used = results | set(folder.interactions["item_id"])
    return replace(folder, items=folder.items[folder.items["item_id"].isin(used)].reset_index(drop=True))


def _kept(names: Mapping[str, str], kept: Iterable[str]) -> dict[str, str]:
    """The renamed ids that the dataset still has."""
    there = set(kept)
    return {old: new for old, new in names.items() if new in there}
