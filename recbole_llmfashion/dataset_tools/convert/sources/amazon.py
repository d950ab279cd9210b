"""Amazon Reviews 2023 (McAuley Lab, arXiv 2403.03952): reviews and metadata of a category, as JSON lines, plain or .gz.

Used fields of a review: user_id, parent_asin, timestamp (milliseconds), verified_purchase. Used fields of the metadata:
parent_asin, title, store, categories (a path) and details (an object, or its JSON text, whose keys differ in case).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_llmfashion.data.atomic.folder import empty_searches
from recbole_llmfashion.dataset_tools.convert.attributes import kept_columns
from recbole_llmfashion.dataset_tools.convert.events import EventChunk, Row, chunks_of
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import (
    FIRST_MILLISECOND,
    LAST_MILLISECOND,
    NOT_MILLISECONDS,
    as_id,
    as_path,
    as_text,
)
from recbole_llmfashion.dataset_tools.convert.readers.json_lines import read_json_lines
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.table_source import require_file
from recbole_llmfashion.files.json_text import parse_json

# attribute -> keys of details in lower case, the first that has a value counts
_NAMES = {"color": ("color", "colour"), "size": ("size",), "brand": ("brand",)}
_FURTHER = {
    "material": ("material", "material type", "fabric type", "outer material"),
    "pattern": ("pattern", "pattern type"),
    "department": ("department",),
    "style": ("style",),
}  # kept where a product has them
_COLUMNS = ["item_id", "title", "brand", "color", "size", "category"]


class Amazon2023:
    """A `LogSource`: verified purchases are purchases; other reviews are clicks, or left out and counted.

    Args:
        reviews, metadata: the files.
        clicks: whether reviews without a verified purchase are clicks.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show progress bars.
        further: name in `.item` -> key of details, in any case (`attributes.parse_attributes`), beside material,
            pattern, department and style.

    Raises:
        UserError: a file is missing.
    """

    days = False
    folds = True
    drops_unknown = True
    has_searches = False

    def __init__(
        self,
        reviews: Path,
        metadata: Path,
        clicks: bool = False,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
        further: Mapping[str, str] | None = None,
    ) -> None:
        # checked before a long file is read
        for path in (reviews, metadata):
            require_file(path)
        self._reviews, self._metadata = reviews, metadata
        self._clicks, self._max_broken, self._show = clicks, max_broken, show_progress
        named = {name: (key.strip().lower(),) for name, key in (further or {}).items()}
        self._known = _FURTHER.keys() - named.keys()
        self._further = {**_FURTHER, **named}
        others = "clicks" if clicks else "left out"
        files = f"{reviews.name}, {metadata.name}"
        self.origin = Origin(
            "amazon-2023",
            f"Amazon Reviews 2023 (McAuley Lab, arXiv 2403.03952): {files}",
            (f"reviews of verified purchases are purchases, others are {others}; times are those of the reviews",),
        )
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """Reviews in file order."""
        return chunks_of(self._rows())

    def _rows(self) -> Iterator[Row]:
        broken = BrokenLines(self._reviews.name, self._max_broken)
        unverified = 0
        for number, record in read_json_lines(self._reviews, broken, self._show):
            row = _review(record)
            if isinstance(row, str):
                broken.add(row, number)
                continue
            unverified += not row[2]
            if row[2] or self._clicks:
                yield row
        self.notes += broken.finish()
        self.notes.append(
            f"{self._reviews.name}: {broken.n_lines - broken.count:,} reviews, {unverified:,} not verified"
        )

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Products with a title in file order; of a repeated parent_asin the first."""
        broken = BrokenLines(self._metadata.name, self._max_broken)
        rows: dict[str, tuple[str, ...]] = {}
        untitled = repeated = 0
        for number, record in read_json_lines(self._metadata, broken, self._show):
            item = as_id(record.get("parent_asin"))
            if item is None:
                broken.add("no parent_asin", number)
            elif item_ids is not None and item not in item_ids:
                continue
            elif item in rows:
                repeated += 1
            elif title := as_text(record.get("title")):
                rows[item] = (title, *_attributes(record, self._further))
            else:
                untitled += 1
        self.notes += broken.finish()
        self.notes.append(
            f"{self._metadata.name}: left out {untitled:,} products without a title and {repeated:,} repeated ones"
        )
        columns = [*_COLUMNS, *self._further]
        items = pd.DataFrame([(item, *cells) for item, cells in rows.items()], columns=columns, dtype=object)
        return kept_columns(items, self._known)

    def searches(self) -> pd.DataFrame:
        """No rows: the source has no searches."""
        return empty_searches()


def _review(record: dict[str, Any]) -> Row | str:
    """(user, item, is a verified purchase, seconds), or the reason why the line cannot be used."""
    user, item = as_id(record.get("user_id")), as_id(record.get("parent_asin"))
    if user is None or item is None:
        return "no user_id or parent_asin"
    try:
        time = float(record.get("timestamp"))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return "no timestamp"
    if isinstance(record["timestamp"], bool) or not FIRST_MILLISECOND <= time <= LAST_MILLISECOND:
        return f"timestamp {NOT_MILLISECONDS}"
    # any other value is not verified
    return user, item, str(record.get("verified_purchase")).lower() == "true", time / 1000


def _attributes(record: dict[str, Any], further: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """brand, color, size, category, then the further attributes; "" if there is none.

    Args:
        record: of a product.
        further: name -> keys of details.
    """
    details = record.get("details")
    if isinstance(details, str):
        try:
            details = parse_json(details)
        except ValueError:
            details = None
    by_name = {key.strip().lower(): value for key, value in details.items()} if isinstance(details, dict) else {}

    def first(names: Sequence[str]) -> str:
        return next(filter(None, (as_text(by_name.get(name)) for name in names)), "")

    return (
        as_text(record.get("store")) or first(_NAMES["brand"]),
        first(_NAMES["color"]),
        first(_NAMES["size"]),
        as_path(record.get("categories")),
        *map(first, further.values()),
    )
