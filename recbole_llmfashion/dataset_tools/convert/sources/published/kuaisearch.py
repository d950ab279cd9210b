"""KuaiSearch (Li et al. 2026, arXiv 2602.11518): searches of Kuaishou's shop, JSON lines, plain or .gz.

The fields are those that the publishers' code reads (https://github.com/benchen4395/KuaiSearch: recall/data/process.py,
recall/data/build_dpr.py, demo/rank.jsonl) and its README names:

- the recall table, recall.jsonl or recall_lite.jsonl: user_id, session_id, query, time_index, impressed_item_ids,
  clicked_item_ids, purchased_item_ids.
- the items, corpus.jsonl, items.jsonl or items_lite.jsonl: item_id, item_title, brand_name, seller_name,
  category_level1_name, category_level2_name, category_level3_name.

time_index is a whole number whose unit is not published; here it is a number of seconds, so only the order means
something. All of a search happens at one time_index: its clicks get a quarter, its purchases half of a second more. The
ranking table's recently_clicked_item_ids are not read, since they are not known to be earlier than the search.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_llmfashion.data.atomic.checks import MAX_RESULTS
from recbole_llmfashion.data.atomic.times import LATEST
from recbole_llmfashion.dataset_tools.convert.events import EventChunk, Row, chunks_of
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_id, as_path, as_text
from recbole_llmfashion.dataset_tools.convert.readers.json_lines import read_json_lines
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.table_source import require_file

_LEVELS = ("category_level1_name", "category_level2_name", "category_level3_name")
_COLUMNS = ["item_id", "title", "brand", "color", "size", "category"]
_CLICK, _PURCHASE = 0.25, 0.5  # seconds after the search


class KuaiSearch:
    """A `LogSource`: clicks on results are clicks, purchases of results purchases.

    Args:
        recall: the recall table.
        items: the items.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show progress bars.
        further: name in `.item` -> field of the items (`attributes.parse_attributes`), beside seller.

    Raises:
        UserError: a file is missing.
    """

    days = False
    folds = True
    drops_unknown = True
    has_searches = True

    def __init__(
        self,
        recall: Path,
        items: Path,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
        further: Mapping[str, str] | None = None,
    ) -> None:
        for path in (recall, items):
            require_file(path)
        self._recall, self._items = recall, items
        self._max_broken, self._show = max_broken, show_progress
        self._further = {"seller": "seller_name", **(further or {})}
        self._buyers: set[str] = set()
        self.origin = Origin(
            "kuaisearch",
            f"KuaiSearch (arXiv 2602.11518): {recall.name}, {items.name}",
            ("times are time_index, whose unit is not published: only their order means something",),
            "Their results are the first items shown.",
        )
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """Clicks and purchases of each search, in file order."""
        return chunks_of(self._rows())

    def _rows(self) -> Iterator[Row]:
        broken = BrokenLines(self._recall.name, self._max_broken)
        unusable = 0
        for number, record in read_json_lines(self._recall, broken, self._show):
            search = _search(record)
            if isinstance(search, str):
                broken.add(search, number)
                continue
            user, time = search
            for field, later in (("clicked_item_ids", _CLICK), ("purchased_item_ids", _PURCHASE)):
                ids = [as_id(value) for value in record[field]]
                unusable += ids.count(None)
                is_purchase = later == _PURCHASE
                if is_purchase and ids:
                    self._buyers.add(user)
                yield from ((user, item, is_purchase, time + later) for item in ids if item is not None)
        self.notes += [
            *broken.finish(),
            f"{self._recall.name}: {broken.n_lines - broken.count:,} searches; items without an id left out:"
            f" {unusable:,}",
        ]

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Items with a title in file order; of a repeated item_id the first. The seller is a further column."""
        broken = BrokenLines(self._items.name, self._max_broken)
        rows: dict[str, tuple[str, ...]] = {}
        untitled = repeated = 0
        for number, record in read_json_lines(self._items, broken, self._show):
            item = as_id(record.get("item_id"))
            if item is None:
                broken.add("no item_id", number)
            elif item_ids is not None and item not in item_ids:
                continue
            elif item in rows:
                repeated += 1
            elif title := as_text(record.get("item_title")):
                path = as_path([record.get(level) for level in _LEVELS])
                more = [as_text(record.get(field)) for field in self._further.values()]
                rows[item] = (title, as_text(record.get("brand_name")), "", "", path, *more)
            else:
                untitled += 1
        self.notes += broken.finish()
        self.notes.append(
            f"{self._items.name}: left out {untitled:,} items without a title and {repeated:,} repeated ones"
        )
        return pd.DataFrame(
            [(item, *cells) for item, cells in rows.items()], columns=[*_COLUMNS, *self._further], dtype=object
        )

    def searches(self) -> pd.DataFrame:
        """The searches of users with a purchase, in file order."""
        broken = BrokenLines(self._recall.name, 1.0)  # the lines were counted when the events were read
        rows = []
        silent = 0
        for _, record in read_json_lines(self._recall, broken, self._show):
            search = _search(record)
            if isinstance(search, str) or search[0] not in self._buyers:
                continue
            query = as_text(record.get("query"))
            silent += not query
            if query:
                shown = [item for value in record["impressed_item_ids"] if (item := as_id(value)) is not None]
                rows.append((*search, query, shown[:MAX_RESULTS]))
        self.notes.append(f"{self._recall.name}: searches without a query left out: {silent:,}")
        return pd.DataFrame(rows, columns=["user_id", "timestamp", "query", "results"]).astype({"timestamp": float})


def _search(record: dict[str, Any]) -> tuple[str, float] | str:
    """(user, time), or the reason why the line cannot be used. Lists that are missing become empty."""
    user, time = as_id(record.get("user_id")), record.get("time_index")
    if user is None:
        return "no user_id"
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not 0 <= time < LATEST:
        return "time_index is not a number from 0 on"
    if not record.keys() & {"clicked_item_ids", "purchased_item_ids"}:
        return "no clicked_item_ids and no purchased_item_ids"
    for field in ("impressed_item_ids", "clicked_item_ids", "purchased_item_ids"):
        if record.get(field) is None:
            record[field] = []
        if not isinstance(record[field], list):
            return f"{field} is not a list"
    return user, float(time)
