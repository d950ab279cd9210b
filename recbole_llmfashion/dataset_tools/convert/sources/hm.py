"""H&M Personalized Fashion Recommendations: articles.csv, transactions_train.csv, and queries of `hnm-search-data`.

A query of microsoft/hnm-search-data was written by a model FROM the article of a transaction, so it must come after
that purchase. Transactions have days without hours: the purchases of a day get its first seconds in file order
(`filters.spread_days`), a query written from one of them gets the day's last second.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.data.atomic.folder import empty_searches
from recbole_llmfashion.dataset_tools.convert.attributes import kept_columns
from recbole_llmfashion.dataset_tools.convert.events import EventChunk
from recbole_llmfashion.dataset_tools.convert.filters import DAY
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_path, as_text
from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import RAGGED, checked_header, header_of, read_blocks
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.hm_queries import HMQueries
from recbole_llmfashion.dataset_tools.convert.sources.table_source import (
    read_source,
    require_rows,
)
from recbole_llmfashion.errors import UserError

_TRANSACTION_COLUMNS = ("t_dat", "customer_id", "article_id")
# from the top; the published names of H&M's own hierarchy
_PATH = ("index_group_name", "index_name", "product_group_name", "product_type_name")
_ARTICLE_COLUMNS = ("article_id", "prod_name", "colour_group_name", *_PATH)
_FURTHER = {
    "pattern": "graphical_appearance_name",
    "department": "department_name",
    "description": "detail_desc",
}  # kept where the articles have them
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WRITTEN = (
    "Each was written by a model from the article of a transaction and has the last second of that transaction's day,"
    " so only purchases of later days follow it. Its results are unknown."
)


class HM:
    """A `LogSource`: every transaction is a purchase; purchases of the same article on the same day count once.

    Args:
        articles, transactions: the files.
        queries: queries of hnm-search-data, or None.
        max_broken: largest share of transactions that cannot be used. With queries no line may have a wrong number of
            fields, because queries refer to transactions by their row.
        show_progress: whether to show progress bars.
        further: name in `.item` -> column of the articles (`attributes.parse_attributes`), beside pattern, department
            and description.

    Raises:
        UserError: a file or a column is missing.
    """

    days = True
    folds = True
    drops_unknown = True

    def __init__(
        self,
        articles: Path,
        transactions: Path,
        queries: HMQueries | None = None,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
        further: Mapping[str, str] | None = None,
    ) -> None:
        # checked before the long file is read
        named = further or {}
        article_columns = (*_ARTICLE_COLUMNS, *named.values())
        for path, columns in ((articles, article_columns), (transactions, _TRANSACTION_COLUMNS)):
            checked_header(path, columns)
        there = header_of(articles, ",")
        self._known = {name: column for name, column in _FURTHER.items() if name not in named and column in there}
        self._further = {**self._known, **named}
        self._articles, self._transactions, self._queries = articles, transactions, queries
        self._max_broken, self._show = max_broken, show_progress
        self.has_searches = queries is not None
        files = [path.name for path in (articles, transactions, *(queries.files if queries else ()))]
        self.origin = Origin(
            "hm",
            f"H&M Personalized Fashion Recommendations (Kaggle): {', '.join(files)}",
            ("the purchases of a day have its first seconds in file order: their true order is unknown",),
            _WRITTEN if queries else "",
        )
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """Transactions in file order; their time is the first second of the day."""
        broken = BrokenLines(self._transactions.name, self._max_broken)
        row = 0
        for block in read_blocks(self._transactions, _TRANSACTION_COLUMNS, broken, show_progress=self._show):
            ragged = broken.reasons[RAGGED]
            if self._queries is not None and ragged:
                raise UserError(
                    f"{self._transactions.name}: {ragged:,} lines have a wrong number of fields, so queries cannot be"
                    " matched with rows; fix these lines or omit the queries"
                )
            seconds = _seconds(block["t_dat"])
            users, articles = block["customer_id"].str.strip().to_numpy(object), article_ids(block["article_id"])
            if self._queries is not None:
                self._queries.meet(row, users, articles, seconds)
            row += len(block)
            dated, named = np.isfinite(seconds), (users != "") & (articles != "")
            good = broken.usable_rows(
                {
                    "column t_dat: expected a day from 1970 to 2262, as 2020-09-22": dated,
                    "no customer or no article": named,
                }
            )
            yield EventChunk(users[good], articles[good], np.ones(int(good.sum()), bool), seconds[good])
        self.notes += [*broken.finish(), f"{self._transactions.name}: {row:,} transactions"]

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Articles with a name, in file order."""
        source = require_rows(read_source(self._articles, (*_ARTICLE_COLUMNS, *self._further.values())))
        frame = source.frame.assign(article_id=article_ids(source.frame["article_id"]))
        repeated = (frame["article_id"].duplicated() & (frame["article_id"] != "")).to_numpy()
        for row in np.flatnonzero(repeated)[:1]:
            article = frame["article_id"].iloc[row]
            raise UserError(
                f"{source.where(row, 'article_id')}: expected each id once, found {article} again; keep one"
            )
        if item_ids is not None:
            frame = frame[frame["article_id"].isin(list(item_ids))]
        items = pd.DataFrame(
            {
                "item_id": frame["article_id"],
                "title": frame["prod_name"].map(as_text),
                "brand": "",
                "color": frame["colour_group_name"].map(as_text),
                "size": "",
                "category": [as_path(levels) for levels in frame[list(_PATH)].to_numpy().tolist()],
                **{name: frame[column].map(as_text) for name, column in self._further.items()},
            }
        )
        usable = (items["title"] != "") & (items["item_id"] != "")
        self.notes.append(f"{self._articles.name}: {int((~usable).sum()):,} articles without a name left out")
        return kept_columns(items[usable].reset_index(drop=True), self._known)

    def searches(self) -> pd.DataFrame:
        """The queries whose transactions are in the file."""
        if self._queries is None:
            return empty_searches()
        searches, notes = self._queries.searches()
        self.notes += notes
        return searches


def article_ids(cells: pd.Series) -> NDArray[np.object_]:
    """Article ids with ten digits: the copy on the hub lost the leading zero of Kaggle's ids."""
    codes, distinct = pd.factorize(cells)
    ids = [text.strip() for text in distinct]
    return np.array([i.zfill(10) if i.isdigit() else i for i in ids], dtype=object)[codes]


def _seconds(cells: pd.Series) -> NDArray[np.float64]:
    """First second of ISO days; NaN for other texts."""
    codes, distinct = pd.factorize(cells)
    days = [day if _DAY.fullmatch(day) else None for day in distinct]
    stamps = pd.to_datetime(pd.Series(days, dtype=object), format="%Y-%m-%d", errors="coerce")
    since = (stamps - pd.Timestamp(0)) // pd.Timedelta(days=1) * float(DAY)
    seconds = since.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(seconds >= 0, seconds, np.nan)[codes]
