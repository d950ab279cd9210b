"""A shop's own tables (interactions, items, searches; CSV or Parquet) to a clean folder of atomic files.

Knows the order of the steps and the names of the user's columns. Does NOT parse files (`table_source`), judge rows
(`table_parts`), order or write them (`finish`), and never guesses: what cannot be kept is an error with its line, or a
count.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_llmfashion.data.atomic.folder import AtomicFolder, empty_searches
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries, Raw, finish, refuse_both
from recbole_llmfashion.dataset_tools.convert.readme import Origin, refuse_foreign
from recbole_llmfashion.dataset_tools.convert.sources.table_parts import (
    interactions_of,
    items_of,
    known_only,
    searches_of,
)
from recbole_llmfashion.dataset_tools.convert.sources.table_source import read_source
from recbole_llmfashion.errors import UserError


@dataclass(frozen=True)
class TableColumns:
    """Names of the columns in the user's tables; None where there is no such column.

    user, time: of interactions and searches; item: of interactions and items; action: of interactions;
    query, results: of searches; the rest: of items.
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

    @property
    def attributes(self) -> dict[str, str | None]:
        return {"brand": self.brand, "color": self.color, "size": self.size, "category": self.category}


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
    """Convert tables, clean the result and write it as the dataset named like the folder `out`.

    Ids with white space or a comma are renamed, and listed in item_map.tsv and user_map.tsv beside the files.

    Args:
        interactions, items, searches: files, read by suffix (`table_source.read_source`).
        drop_unknown_items: leave out, and count, interactions and search results whose item the table `items` lacks;
            they are an error otherwise.
        queries: whether to derive searches for a log without any.

    Returns:
        the folder as written, and what was done, line by line.

    Raises:
        UserError: for whatever cannot be converted, with file and line.
    """
    _check_options(columns, searches)
    refuse_both(queries, searches is not None)
    refuse_foreign(out)
    notes: list[str] = []
    with tqdm(total=4, desc=f"converting to {out}", unit="step", disable=not show_progress) as progress:
        source = read_source(interactions, _named(columns.user, columns.item, columns.time, columns.action))
        events, dates = interactions_of(source, columns.user, columns.item, columns.time, columns.action, notes)
        progress.update()
        source = read_source(items, _named(columns.item, columns.title, *columns.attributes.values()))
        catalogue = items_of(source, columns.item, columns.title, columns.attributes, events["item_id"], notes)
        known = known_only(events["item_id"], catalogue["item_id"], interactions.name, drop_unknown_items, notes)
        progress.update()
        log = _read_searches(searches, columns, dates, notes)
        if searches is not None:
            log = _with_known_results(log, catalogue["item_id"], searches.name, drop_unknown_items, notes)
        progress.update()
        raw = Raw(events[known], catalogue, log)
        folder = finish(raw, out, _origin(interactions, items, searches), notes, queries)
        progress.update()
    return folder, notes


def _check_options(columns: TableColumns, searches: Path | None) -> None:
    if searches is not None and columns.query is None:
        raise UserError(f"{searches}: which column holds the query? add --query COL")
    if searches is None and (columns.query or columns.results):
        raise UserError("--query and --results name columns of a search table: add --searches FILE")


def _origin(*files: Path | None) -> Origin:
    return Origin("table", f"tables of one's own: {', '.join(file.name for file in files if file is not None)}")


def _named(*columns: str | None) -> list[str]:
    return [column for column in columns if column is not None]


def _read_searches(path: Path | None, columns: TableColumns, dates: bool, notes: list[str]) -> pd.DataFrame:
    """The search table with lists of results, or none; its times must be of the kind of the interactions'."""
    if path is None or columns.query is None:
        return empty_searches()
    source = read_source(path, _named(columns.user, columns.time, columns.query, columns.results))
    log, log_dates = searches_of(source, columns.user, columns.time, columns.query, columns.results, notes)
    if log_dates != dates and len(log):
        kinds = ("dates", "numbers") if log_dates else ("numbers", "dates")
        raise UserError(
            f"{path.name}: times are {kinds[0]}, those of the interactions {kinds[1]}; use one kind in both"
        )
    return log


def _with_known_results(
    log: pd.DataFrame, catalogue: pd.Series, file: str, drop: bool, notes: list[str]
) -> pd.DataFrame:
    """Results that the catalogue lacks refused or left out."""
    shown = log["results"].explode().dropna()
    unknown = set(shown[~known_only(shown, catalogue, f"{file}, search results", drop, notes)])
    kept = [[item for item in one if item not in unknown] for one in log["results"]]
    return log.assign(results=pd.Series(kept, index=log.index, dtype=object))
