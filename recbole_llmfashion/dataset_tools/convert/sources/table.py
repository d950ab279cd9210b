"""Converts own tables (interactions, items, searches; CSV or Parquet) into a clean dataset.

Rows that cannot be kept are an error with their line, or are counted; nothing is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_llmfashion.data.atomic.folder import AtomicFolder, empty_searches
from recbole_llmfashion.dataset_tools.convert.filters import repeats_kept
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries, Raw, finish, refuse_both
from recbole_llmfashion.dataset_tools.convert.readme import Origin, refuse_foreign
from recbole_llmfashion.dataset_tools.convert.sources.table_parts import (
    in_catalogue,
    interactions_of,
    items_of,
    searches_of,
)
from recbole_llmfashion.dataset_tools.convert.sources.table_source import read_source, require_rows
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.changes import own_folder


@dataclass(frozen=True)
class TableColumns:
    """Names of the columns of the tables; None if there is no such column.

    Args:
        user, time: of interactions and searches.
        item: of interactions and items.
        title, brand, color, size, category: of items.
        action: of interactions.
        query, results: of searches.
        further: name in `.item` -> column of items (`attributes.parse_attributes`).
        time_unit: unit of times that are numbers: s, ms, us or ns.
    """

    user: str
    item: str
    time: str
    title: str
    action: str | None = None
    query: str | None = None
    results: str | None = None
    brand: str | None = None
    color: str | None = None
    size: str | None = None
    category: str | None = None
    further: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "s"

    @property
    def attributes(self) -> dict[str, str | None]:
        """Attribute -> column."""
        own = {"brand": self.brand, "color": self.color, "size": self.size, "category": self.category}
        return {**own, **self.further}


def convert_table(
    interactions: Path,
    items: Path,
    columns: TableColumns,
    out: Path,
    searches: Path | None = None,
    drop_unknown_items: bool = False,
    queries: DerivedQueries = DerivedQueries.none,
    show_progress: bool = False,
) -> tuple[AtomicFolder, list[str]]:
    """Convert tables and write the dataset with the name of the folder `out`.

    Ids with white space or a comma are renamed and listed in item_map.tsv and user_map.tsv of the folder.

    Args:
        interactions, items, searches: files; the suffix determines the format (`table_source.read_source`).
        columns: names of the columns.
        out: the dataset's folder.
        drop_unknown_items: whether interactions and search results whose item is not in `items` are left out and
            counted; otherwise they are an error.
        queries: whether to derive searches for a log without searches.
        show_progress: whether to show a progress bar.

    Returns:
        (the dataset, one line of text per step).

    Raises:
        UserError: something cannot be converted; the message has the file and the line.
    """
    _check_options(columns, searches)
    refuse_both(queries, searches is not None)
    notes: list[str] = []
    with (
        own_folder(out, "--out"),
        tqdm(total=4, desc=f"converting to {out}", unit="step", disable=not show_progress) as progress,
    ):
        refuse_foreign(out)
        named = _named(columns.user, columns.item, columns.time, columns.action)
        source = require_rows(read_source(interactions, named))
        events, dates = interactions_of(
            source, columns.user, columns.item, columns.time, columns.action, notes, columns.time_unit
        )
        progress.update()
        named = _named(columns.item, columns.title, *columns.attributes.values())
        source = require_rows(read_source(items, named))
        catalogue = items_of(source, columns.item, columns.title, columns.attributes, events["item_id"], notes)
        listed = in_catalogue(events["item_id"], catalogue["item_id"], interactions.name, drop_unknown_items, notes)
        notes += repeats_kept(int(events[listed].duplicated().sum()))
        progress.update()
        log = _read_searches(searches, columns, dates, notes)
        if searches is not None:
            log = _with_known_results(log, catalogue["item_id"], searches.name, drop_unknown_items, notes)
        progress.update()
        raw = Raw(events[listed], catalogue, log)
        folder = finish(raw, out, _origin(interactions, items, searches), notes, queries)
        progress.update()
    return folder, notes


def _check_options(columns: TableColumns, searches: Path | None) -> None:
    if searches is not None and columns.query is None:
        raise UserError("--query: expected the query's column of --searches, found none; add --query COL")
    if searches is None and (columns.query or columns.results):
        raise UserError("--searches: expected a file for --query and --results, found none; add --searches FILE")


def _origin(*files: Path | None) -> Origin:
    return Origin("table", f"the tables {', '.join(file.name for file in files if file is not None)}")


def _named(*columns: str | None) -> list[str]:
    return [column for column in columns if column is not None]


def _read_searches(path: Path | None, columns: TableColumns, dates: bool, notes: list[str]) -> pd.DataFrame:
    """The search table with lists of results, without rows if there is none.

    Raises:
        UserError: its times are dates and those of the interactions numbers, or the other way round.
    """
    if path is None or columns.query is None:
        return empty_searches()
    source = read_source(path, _named(columns.user, columns.time, columns.query, columns.results))
    log, log_dates = searches_of(
        source, columns.user, columns.time, columns.query, columns.results, notes, columns.time_unit
    )
    if log_dates != dates and len(log):
        kinds = ("dates", "numbers") if log_dates else ("numbers", "dates")
        raise UserError(
            f"{path.name}: expected times that are {kinds[1]} as in the interactions, found {kinds[0]}; use one kind"
        )
    return log


def _with_known_results(
    log: pd.DataFrame, catalogue: pd.Series, file: str, drop: bool, notes: list[str]
) -> pd.DataFrame:
    """The log without results that the catalogue lacks; they are an error if `drop` is False."""
    results = log["results"].explode().dropna()
    unknown = set(results[~in_catalogue(results, catalogue, f"{file}, search results", drop, notes)])
    remaining = [[item for item in row if item not in unknown] for row in log["results"]]
    return log.assign(results=pd.Series(remaining, index=log.index, dtype=object))
