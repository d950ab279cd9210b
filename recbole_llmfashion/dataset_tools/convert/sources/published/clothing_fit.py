"""Rent the Runway and ModCloth: clothing fit data of Misra, Wan and McAuley (RecSys 2018), JSON lines, plain or .gz.

The publishers' page (https://cseweb.ucsd.edu/~jmcauley/datasets.html#clothing_fit, also on Kaggle as
rmisra/clothing-fit-dataset-for-size-recommendation) has one file per shop, a review per line. Fields used here:

- renttherunway_final_data.json: user_id, item_id, category, size, fit, "rented for" and review_date, a text such as
  "April 20, 2016".
- modcloth_final_data.json: user_id, item_id, category, size and fit. It has no date.

Neither has names of products. A title is the category and the id, such as `gown 127865`, so that it names one item.
Size, fit and occasion are of a review, not of an item; an item has the most frequent value (convert/item_votes.py).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_llmfashion.data.atomic.folder import empty_searches
from recbole_llmfashion.dataset_tools.convert.events import EventChunk, Row, chunks_of
from recbole_llmfashion.dataset_tools.convert.item_votes import ItemVotes
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_id, as_text
from recbole_llmfashion.dataset_tools.convert.readers.json_lines import read_json_lines
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.table_source import require_file

# not strptime, whose names of months depend on the locale
_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}  # noqa: SIM905
_DATE = re.compile(r"([A-Za-z]{3,9})\.? (\d{1,2}), (\d{4})")
_ID_BREAK = re.compile(r"[\s,]")


@dataclass(frozen=True)
class Shop:
    """One of the two files.

    Args:
        command: subcommand of `convert`.
        title: name for the README.md.
        date: field of the date, or None.
        attributes: column of `.item` -> field.
        order: what the order of a user's actions means.
    """

    command: str
    title: str
    date: str | None
    attributes: dict[str, str]
    order: str


RENT_THE_RUNWAY = Shop(
    "rent-the-runway",
    "Rent the Runway (Misra, Wan and McAuley 2018)",
    "review_date",
    {"size": "size", "occasion": "rented for", "fit": "fit"},
    "a review is a purchase on its day; a user's reviews of a day are in file order: their true order is unknown",
)
MODCLOTH = Shop(
    "modcloth",
    "ModCloth (Misra, Wan and McAuley 2018)",
    None,
    {"size": "size", "fit": "fit"},
    "the file has NO DATES: a time is the number of a line, so a user's order is that of the file, not that of the"
    " purchases; what depends on the order cannot be measured on this dataset",
)


class ClothingFit:
    """A `LogSource`: every review is a purchase. `describe` adds the attributes that only reviews have.

    Args:
        reviews: the file.
        shop: whose file it is.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show a progress bar.
        further: name in `.item` -> field of the reviews (`attributes.parse_attributes`), beside the shop's attributes.

    Raises:
        UserError: the file is missing.
    """

    folds = True
    drops_unknown = True
    has_searches = False

    def __init__(
        self,
        reviews: Path,
        shop: Shop,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
        further: Mapping[str, str] | None = None,
    ) -> None:
        require_file(reviews)
        self._reviews, self._shop = reviews, shop
        self._max_broken, self._show = max_broken, show_progress
        self.days = shop.date is not None
        self._categories: dict[str, str] = {}
        self._attributes = {**shop.attributes, **(further or {})}
        self._votes = ItemVotes(tuple(self._attributes))
        self.describe = self._votes.describe
        attributes = ", ".join(self._attributes)
        self.origin = Origin(
            shop.command,
            f"{shop.title}: {reviews.name}",
            (
                shop.order,
                "a title is the category and the id, because the source has no names",
                f"{attributes}: the most frequent value in an item's reviews, without the reviews of users' last two"
                " actions",
            ),
        )
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """Reviews in file order."""
        return chunks_of(self._rows())

    def _rows(self) -> Iterator[Row]:
        broken = BrokenLines(self._reviews.name, self._max_broken)
        for number, record in read_json_lines(self._reviews, broken, self._show):
            row = self._row(number, record)
            if isinstance(row, str):
                broken.add(row, number)
            else:
                yield row
        self.notes += [
            *broken.finish(),
            f"{self._reviews.name}: {broken.n_lines - broken.count:,} reviews of {len(self._categories):,} items",
        ]

    def _row(self, number: int, record: dict[str, Any]) -> Row | str:
        """An action, or the reason why the line cannot be used."""
        user, item = as_id(record.get("user_id")), as_id(record.get("item_id"))
        if user is None or item is None or _ID_BREAK.search(user + item):
            return "no user_id or item_id without white space and commas"
        category = as_text(record.get("category"))
        if not category:
            return "no category"
        seconds = float(number) if self._shop.date is None else day_of(record.get(self._shop.date))
        if seconds is None:
            return f"{self._shop.date}: expected a day from 1970 on, as April 20, 2016"
        self._categories.setdefault(item, category)
        self._votes.add(user, item, [as_text(record.get(field)) for field in self._attributes.values()])
        return user, item, True, seconds

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """The items of the reviews, in the order of their first review."""
        rows = [
            (item, f"{category} {item}", "", "", "", category)
            for item, category in self._categories.items()
            if item_ids is None or item in item_ids
        ]
        return pd.DataFrame(rows, columns=["item_id", "title", "brand", "color", "size", "category"], dtype=object)

    def searches(self) -> pd.DataFrame:
        """No rows: the source has no searches."""
        return empty_searches()


def day_of(text: Any) -> float | None:
    """The first second of a day (UTC), such as `April 20, 2016`; None for any other value.

    >>> day_of("January 2, 1970"), day_of("February 30, 2016"), day_of("2016-04-20")
    (86400.0, None, None)
    """
    found = _DATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    month, day, year = found.groups()
    try:
        moment = datetime(int(year), _MONTHS[month[:3].lower()], int(day), tzinfo=UTC)
    except (KeyError, ValueError):
        return None
    return moment.timestamp() if year >= "1970" else None
