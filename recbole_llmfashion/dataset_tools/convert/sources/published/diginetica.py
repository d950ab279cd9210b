"""Diginetica: the e-commerce logs of CIKM Cup 2016, track 2 (https://competitions.codalab.org/competitions/11161).

Tables with semicolons, whose columns the competition's page describes ("Learn the Details", "Data"):

- train-item-views.csv: sessionId, userId, itemId, timeframe, eventdate.
- train-purchases.csv: sessionId, userId, timeframe, eventdate, ordernumber, itemId.
- train-queries.csv: queryId, sessionId, userId, timeframe, duration, eventdate, searchstring.tokens, categoryId, items,
  is.test.
- products.csv: itemId, pricelog2, product.name.tokens.
- product-categories.csv: itemId, categoryId.

eventdate is a day, timeframe the milliseconds since the first query of the session; a time here is their sum. userId is
NA for users who are not logged in; such a session is a user of its own. The words of names and queries are hashed
to numbers; a word is written with a `w` before its number, so that it counts as a word. The title is the name.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.data.atomic.checks import MAX_RESULTS, parse_numbers
from recbole_llmfashion.data.atomic.folder import empty_searches
from recbole_llmfashion.dataset_tools.convert.events import EventChunk
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_text, hashed_words
from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import checked_header, read_blocks
from recbole_llmfashion.dataset_tools.convert.readme import Origin

_SEPARATOR = ";"
_MOMENT = ("sessionId", "userId", "timeframe", "eventdate")
_ACTION_COLUMNS = (*_MOMENT, "itemId")
_QUERY_COLUMNS = (*_MOMENT, "searchstring.tokens", "items")
_PRODUCT_COLUMNS = ("itemId", "product.name.tokens")
_CATEGORY_COLUMNS = ("itemId", "categoryId")
_UNKNOWN = ("", "NA")
_NO_TIME = "expected eventdate as 2016-05-09 and timeframe in milliseconds"
_NO_NAME = "no sessionId or no itemId"
_FEW = "They are hashed words, each w and its number, as in the titles."


@dataclass(frozen=True)
class DigineticaFiles:
    """The five tables.

    Args:
        views: train-item-views.csv.
        purchases: train-purchases.csv.
        queries: train-queries.csv.
        products: products.csv.
        categories: product-categories.csv.
    """

    views: Path
    purchases: Path
    queries: Path
    products: Path
    categories: Path


class Diginetica:
    """A `LogSource`: views are clicks, purchases purchases, queries with words searches.

    Args:
        files: the tables.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show progress bars.
        further: name in `.item` -> column of the products (`attributes.parse_attributes`).

    Raises:
        UserError: a file or a column is missing.
    """

    days = False
    folds = True
    drops_unknown = True
    has_searches = True

    def __init__(
        self,
        files: DigineticaFiles,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
        further: Mapping[str, str] | None = None,
    ) -> None:
        self._further = further or {}
        self._product_columns = (*_PRODUCT_COLUMNS, *self._further.values())
        columns = (_ACTION_COLUMNS, _ACTION_COLUMNS, _QUERY_COLUMNS, self._product_columns, _CATEGORY_COLUMNS)
        # checked before a long file is read
        for path, names in zip(astuple(files), columns, strict=True):
            checked_header(path, names, _SEPARATOR)
        self._files, self._max_broken, self._show = files, max_broken, show_progress
        self.origin = Origin(
            "diginetica",
            f"Diginetica (CIKM Cup 2016, track 2): {', '.join(path.name for path in astuple(files))}",
            (
                "views are clicks; a time is eventdate plus timeframe, so sessions of a user on one day overlap: their"
                " true order is unknown; a session without userId is a user of its own, s and its sessionId",
                "a title is the product's name, hashed words, each w and its number",
            ),
            _FEW,
        )
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """Views in file order, then purchases in file order."""
        for path, is_purchase in ((self._files.views, False), (self._files.purchases, True)):
            broken = BrokenLines(path.name, self._max_broken)
            for block in self._blocks(path, _ACTION_COLUMNS, broken):
                seconds, users = _seconds(block), _users(block)
                timed, named = np.isfinite(seconds), (users != "") & ~block["itemId"].isin(_UNKNOWN).to_numpy()
                good = broken.usable_rows({_NO_TIME: timed, _NO_NAME: named})
                purchases = np.full(int(good.sum()), is_purchase)
                yield EventChunk(users[good], block["itemId"].to_numpy(object)[good], purchases, seconds[good])
            rows = broken.n_lines - broken.count
            self.notes += [*broken.finish(), f"{path.name}: {rows:,} {'purchases' if is_purchase else 'views'}"]

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Products whose name has a word, in file order; of a repeated itemId the first."""
        broken = BrokenLines(self._files.products.name, self._max_broken)
        found: dict[str, tuple[str, ...]] = {}
        unnamed = repeated = 0
        for item, cell, *more in self._rows(self._files.products, self._product_columns, broken, item_ids):
            title = " ".join(hashed_words(cell))
            unnamed += not title
            repeated += bool(title) and item in found
            if title:
                found.setdefault(item, (title, *map(as_text, more)))
        self.notes += broken.finish()
        self.notes.append(
            f"{self._files.products.name}: left out {unnamed:,} products without a name and {repeated:,} repeated ones"
        )
        categories = self._categories(found)
        rows = [(item, title, "", "", "", categories.get(item, ""), *more) for item, (title, *more) in found.items()]
        columns = ["item_id", "title", "brand", "color", "size", "category", *self._further]
        return pd.DataFrame(rows, columns=columns, dtype=object)

    def searches(self) -> pd.DataFrame:
        """Queries with words in file order; results are the first items shown."""
        broken = BrokenLines(self._files.queries.name, self._max_broken)
        parts = [empty_searches()]
        without = 0
        for block in self._blocks(self._files.queries, _QUERY_COLUMNS, broken):
            seconds, users = _seconds(block), _users(block)
            good = np.isfinite(seconds) & (users != "")
            broken.add_rows(f"no sessionId, or {_NO_TIME}", ~good)
            text = np.array([" ".join(hashed_words(cell)) for cell in block["searchstring.tokens"]], dtype=object)
            without += int((good & (text == "")).sum())
            good &= text != ""
            shown = [cell.split(",")[:MAX_RESULTS] if cell not in _UNKNOWN else [] for cell in block["items"][good]]
            frame = pd.DataFrame({"user_id": users[good], "timestamp": seconds[good], "query": text[good]})
            parts.append(frame.assign(results=pd.Series(shown, index=frame.index, dtype=object)))
        self.notes += [*broken.finish(), f"{self._files.queries.name}: queries without words left out: {without:,}"]
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)

    def _categories(self, items: Collection[str]) -> dict[str, str]:
        path = self._files.categories
        broken = BrokenLines(path.name, self._max_broken)
        found = dict(self._rows(path, _CATEGORY_COLUMNS, broken, items))
        self.notes += broken.finish()
        return {item: f"category-{name}" for item, name in found.items() if name not in _UNKNOWN}

    def _rows(
        self, path: Path, columns: tuple[str, ...], broken: BrokenLines, items: Collection[str] | None
    ) -> Iterator[Any]:
        """Cells of the rows whose first cell is one of the items."""
        for block in self._blocks(path, columns, broken):
            ids = block.iloc[:, 0]
            unknown = ids.isin(_UNKNOWN).to_numpy()
            broken.add_rows("no itemId", unknown)
            rows = block[~unknown] if items is None else block[ids.isin(list(items))]
            yield from rows.itertuples(index=False, name=None)

    def _blocks(self, path: Path, columns: tuple[str, ...], broken: BrokenLines) -> Iterator[pd.DataFrame]:
        return read_blocks(path, columns, broken, _SEPARATOR, quotes=False, show_progress=self._show)


def _seconds(block: pd.DataFrame) -> NDArray[np.float64]:
    """Time of each row, NaN if it has none."""
    codes, texts = pd.factorize(block["eventdate"])
    days = pd.to_datetime(pd.Series(texts, dtype=object), format="%Y-%m-%d", errors="coerce")
    starts = ((days - pd.Timestamp(0)) / pd.Timedelta(seconds=1)).to_numpy(np.float64)[codes]
    passed = parse_numbers(block["timeframe"].to_numpy(object))
    return np.where((starts >= 0) & (passed >= 0), starts + passed / 1000, np.nan)


def _users(block: pd.DataFrame) -> NDArray[np.object_]:
    """userId, or `s` and the sessionId where it is unknown; "" if both are."""
    no_session = block["sessionId"].isin(_UNKNOWN)
    sessions = ("s" + block["sessionId"]).mask(no_session, "")
    return block["userId"].mask(block["userId"].isin(_UNKNOWN), sessions).to_numpy(object)
