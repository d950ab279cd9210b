"""Converts a `LogSource` into a dataset: read, filter, join with the catalogue, clean, write."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.convert.events import EventChunk, SourceEvents, gather
from recbole_llmfashion.dataset_tools.convert.filters import (
    DAY,
    day_range,
    in_core,
    repeats,
    repeats_kept,
    spread_days,
)
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries, Describe, Raw, finish, refuse_both
from recbole_llmfashion.dataset_tools.convert.readme import Origin, refuse_foreign
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.changes import own_folder


class LogSource(Protocol):
    """The files of one source. `events` is read to its end first, then `items`, then `searches`.

    Attributes:
        origin: the source's part of the README.md.
        notes: what the source counted or decided, one line each.
        days: whether times are days without hours.
        folds: whether rows with equal user, item, action and time count once.
        drops_unknown: whether events of items that the catalogue lacks are left out and counted; otherwise they are an
            error.
        has_searches: whether the source has searches.
    """

    origin: Origin
    notes: list[str]
    days: bool
    folds: bool
    drops_unknown: bool
    has_searches: bool

    def events(self) -> Iterator[EventChunk]:
        """Item actions in file order, chunk by chunk."""
        ...

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Items with a title: item_id, title, brand, color, size, category, and further columns that `.item` keeps.

        Args:
            item_ids: ids of the items to return; None for all.
        """
        ...

    def searches(self) -> pd.DataFrame:
        """user_id, timestamp, query, results (lists of item ids)."""
        ...


@dataclass(frozen=True)
class ConvertSettings:
    """What to keep, and where to write it.

    Args:
        out: the dataset's folder.
        core: k of the k-core: least number of rows per user and item, 0 for no k-core.
        since, until: first and last day (ISO, UTC), both included.
        queries: whether to derive searches.
        all_items: whether to keep items without actions.
    """

    out: Path
    core: int = 0
    since: str | None = None
    until: str | None = None
    queries: DerivedQueries = DerivedQueries.none
    all_items: bool = False

    def lines(self) -> tuple[str, ...]:
        """The settings as text for the README.md."""
        days = f"days from {self.since or 'the first'} to {self.until or 'the last'}, both included (UTC)"
        core = f"{self.core}-core before cleaning" if self.core else "no k-core"
        items = "all items of the source" if self.all_items else "only items with an action"
        return (f"kept: {days}; {core}; {items}",)


def convert_source(
    source: LogSource, settings: ConvertSettings, describe: Describe | None = None
) -> tuple[AtomicFolder, list[str]]:
    """Convert a source and write it as the dataset with the name of the folder `settings.out`.

    Memory grows with users, items and events (17 bytes per event before the k-core, frames of the remaining events
    afterwards), not with the text of the log.

    Args:
        source: what to convert.
        settings: what to keep, and where to write it.
        describe: completes the items of the clean dataset; None leaves them as they are.

    Returns:
        (the dataset, one line of text per step).

    Raises:
        UserError: something cannot be converted.
    """
    refuse_both(settings.queries, source.has_searches)
    since, until = day_range(settings.since, settings.until)
    with own_folder(settings.out, "--out"):
        refuse_foreign(settings.out)
        return _convert(source, settings, since, until, describe)


def _convert(
    source: LogSource, settings: ConvertSettings, since: float, until: float, describe: Describe | None
) -> tuple[AtomicFolder, list[str]]:
    events, outside = gather(source.events(), since, until)
    notes: list[str] = []
    if outside:
        notes.append(f"actions outside --since and --until left out: {outside:,}")
    if source.folds:
        events = _without_repeats(events, notes)
    else:
        notes += repeats_kept(int(repeats(events).sum()))
    # before the join, so that item text is read for few items, and after the join, which may drop actions
    events = _in_core(events, settings.core, notes)
    catalogue = source.items(None if settings.all_items else set(events.items_seen()))
    events = _joined(events, catalogue, source.drops_unknown, notes)
    events = _in_core(events, settings.core, notes)
    if source.days:
        events = spread_days(events)
    log = source.searches()
    log = log[(log["timestamp"] >= since) & (log["timestamp"] < until)]
    log = _listed_results(log, catalogue, notes)
    raw = Raw(events.frame(), catalogue, log, DAY if source.days else 0.0, describe)
    notes[:0] = source.notes
    origin = replace(source.origin, settings=(*source.origin.settings, *settings.lines()))
    return finish(raw, settings.out, origin, notes, settings.queries, settings.all_items), notes


def _without_repeats(events: SourceEvents, notes: list[str]) -> SourceEvents:
    repeated = repeats(events)
    if repeated.any():
        notes.append(f"actions that repeat user, item, action and time left out: {int(repeated.sum()):,}")
    return events.keep(~repeated)


def _in_core(events: SourceEvents, core: int, notes: list[str]) -> SourceEvents:
    if core < 2:
        return events
    kept = in_core(events, core)
    if not kept.any():
        raise UserError(f"--k-core {core}: no actions are left; choose a smaller k or add data")
    if not kept.all():
        names = (events.users, events.items)
        users, items = (len(np.unique(codes)) - len(np.unique(codes[kept])) for codes in names)
        actions = f"actions outside the {core}-core left out: {int((~kept).sum()):,}"
        notes.append(f"{actions}; users without any left: {users:,}, items: {items:,}")
    return events.keep(kept)


def _joined(events: SourceEvents, catalogue: pd.DataFrame, drops: bool, notes: list[str]) -> SourceEvents:
    """Events of the items that have a title.

    Raises:
        UserError: an item has no title and `drops` is False.
    """
    item_has_title = pd.Index(events.item_names).isin(catalogue["item_id"])
    has_title = item_has_title[events.items]
    if has_title.all():
        return events
    lost = np.unique(events.items[~has_title])
    text = f"{int((~has_title).sum()):,} actions with {len(lost):,} items that have no title in the catalogue"
    if not drops:
        first = events.item_names[lost[0]]
        raise UserError(f"{text}, first {first!r}; complete the catalogue or add --drop-unknown-items")
    notes.append(f"{text} left out")
    return events.keep(has_title)


def _listed_results(log: pd.DataFrame, catalogue: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Searches whose results are items of the catalogue."""
    listed = set(catalogue["item_id"])
    results = [[item for item in row if item in listed] for row in log["results"]]
    lost = sum(map(len, log["results"])) - sum(map(len, results))
    if lost:
        notes.append(f"search results that are not in the catalogue left out: {lost:,}")
    return log.assign(results=pd.Series(results, index=log.index, dtype=object))
