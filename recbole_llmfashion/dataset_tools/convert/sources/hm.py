"""H&M Personalized Fashion Recommendations: articles.csv, transactions_train.csv, and queries of `hnm-search-data`.

Knows the published columns. A query of microsoft/hnm-search-data was written by a model FROM the article of a
transaction, so it may stand before later purchases only. Days have no hours: a day's purchases stand at its first
seconds in file order (`filters.spread_days`), a query written from one of them at the day's last second, after all of
that day. Does NOT filter or write.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.data.atomic.folder import empty_searches
from recbole_llmfashion.dataset_tools.convert.events import EventChunk
from recbole_llmfashion.dataset_tools.convert.filters import DAY
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_path, as_text
from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import RAGGED, header_of, read_blocks
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.hm_queries import HMQueries
from recbole_llmfashion.dataset_tools.convert.sources.table_source import (
    read_source,
    require_columns,
    require_file,
)
from recbole_llmfashion.errors import UserError

_TRANSACTION_COLUMNS = ("t_dat", "customer_id", "article_id")
# from the top; the published names of H&M's own hierarchy
_PATH = ("index_group_name", "index_name", "product_group_name", "product_type_name")
_ARTICLE_COLUMNS = ("article_id", "prod_name", "colour_group_name", *_PATH)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WRITTEN = (
    "A model wrote each from the article of a transaction; it stands at the last second of that transaction's day, so"
    " only purchases of later days follow it. What was shown for it is unknown."
)


class HM:
    """A `LogSource`: every transaction is a purchase; an article bought twice on a day is one.

    Args:
        queries: what `--queries-file` brought, or None.
        max_broken: share of unusable transactions above which the file is refused; with queries none may be of another
            number of fields, as they are told apart by their place.

    Raises:
        UserError: for a file or a column that is not there.
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
    ) -> None:
        # before the long file is read, not after
        for path, columns in ((articles, _ARTICLE_COLUMNS), (transactions, _TRANSACTION_COLUMNS)):
            require_file(path)
            require_columns(path, columns, header_of(path, ","))
        self._articles, self._transactions, self._queries = articles, transactions, queries
        self._max_broken, self._show = max_broken, show_progress
        self.has_searches = queries is not None
        files = [path.name for path in (articles, transactions, *(queries.files if queries else ()))]
        self.origin = Origin(
            "hm",
            f"H&M Personalized Fashion Recommendations (Kaggle): {', '.join(files)}",
            ("a day's purchases stand at its first seconds in file order: the order within a day is not known",),
            _WRITTEN if queries else "",
        )
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """Transactions in file order; `seconds` is the day's first."""
        broken = BrokenLines(self._transactions.name, self._max_broken)
        row = 0
        for block in read_blocks(self._transactions, _TRANSACTION_COLUMNS, broken, show_progress=self._show):
            ragged = broken.reasons[RAGGED]
            if self._queries is not None and ragged:
                raise UserError(
                    f"{self._transactions.name}: {ragged:,} lines have another number of fields, so transactions cannot"
                    " be told by their place; mend them, or leave the queries out"
                )
            seconds = _seconds(block["t_dat"])
            users, articles = block["customer_id"].str.strip().to_numpy(object), article_ids(block["article_id"])
            if self._queries is not None:
                self._queries.meet(row, users, articles, seconds)
            row += len(block)
            good = np.isfinite(seconds) & (users != "") & (articles != "")
            if not good.all():
                broken.add("no customer, no article or no day", n=int((~good).sum()))
            yield EventChunk(users[good], articles[good], np.ones(int(good.sum()), bool), seconds[good])
        self.notes += [*broken.finish(), f"{self._transactions.name}: {row:,} transactions"]

    def items(self, wanted: Collection[str] | None) -> pd.DataFrame:
        """Articles with a name in the file's order."""
        source = read_source(self._articles, _ARTICLE_COLUMNS)
        frame = source.frame.assign(article_id=article_ids(source.frame["article_id"]))
        again = (frame["article_id"].duplicated() & (frame["article_id"] != "")).to_numpy()
        for place in np.flatnonzero(again)[:1]:
            raise UserError(f"{source.where(place, 'article_id')}: {frame['article_id'].iloc[place]} again; keep one")
        if wanted is not None:
            frame = frame[frame["article_id"].isin(list(wanted))]
        items = pd.DataFrame(
            {
                "item_id": frame["article_id"],
                "title": frame["prod_name"].map(as_text),
                "brand": "",
                "color": frame["colour_group_name"].map(as_text),
                "size": "",
                "category": [as_path(levels) for levels in frame[list(_PATH)].to_numpy().tolist()],
            }
        )
        usable = (items["title"] != "") & (items["item_id"] != "")
        self.notes.append(f"{self._articles.name}: {int((~usable).sum()):,} articles without a name left out")
        return items[usable].reset_index(drop=True)

    def searches(self) -> pd.DataFrame:
        """The queries of transactions that the file has."""
        if self._queries is None:
            return empty_searches()
        searches, notes = self._queries.searches()
        self.notes += notes
        return searches


def article_ids(cells: pd.Series) -> NDArray[np.object_]:
    """Ten digits: Kaggle's ids begin with a zero, which the edition on the hub lost."""
    codes, distinct = pd.factorize(cells)
    ids = [text.strip() for text in distinct]
    return np.array([i.zfill(10) if i.isdigit() else i for i in ids], dtype=object)[codes]


def _seconds(cells: pd.Series) -> NDArray[np.float64]:
    """The first second of ISO days; NaN for whatever is none."""
    codes, distinct = pd.factorize(cells)
    days = [day if _DAY.fullmatch(day) else None for day in distinct]
    stamps = pd.to_datetime(pd.Series(days, dtype=object), format="%Y-%m-%d", errors="coerce")
    since = (stamps - pd.Timestamp(0)) // pd.Timedelta(days=1) * float(DAY)
    seconds = since.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(seconds >= 0, seconds, np.nan)[codes]
