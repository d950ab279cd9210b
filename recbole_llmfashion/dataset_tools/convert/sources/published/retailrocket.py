"""RetailRocket: events.csv, item_properties_part1.csv, item_properties_part2.csv and category_tree.csv.

As published on Kaggle (https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset), whose page describes the files:

- events.csv: timestamp (milliseconds), visitorid, event (view, addtocart or transaction), itemid, transactionid.
- item_properties_part1.csv and _part2.csv: timestamp, itemid, property, value; weekly snapshots. The names and values
  of all properties but `categoryid` and `available` are hashed: a value is a list of numbers that stand for words, and
  of numbers after an `n`, such as `n277.200`, which are numbers.
- category_tree.csv: categoryid, parentid.

The source has no titles and no description of which property is the name of an item. Property 888 has most rows and is
a list of hashed words, so its first words are the title; another can be named. A hashed word is written with a `w`
before its number, so that it counts as a word. Of the snapshots the earliest is read, which has no trace of later
events.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.checks import parse_numbers
from recbole_llmfashion.data.atomic.folder import empty_searches
from recbole_llmfashion.dataset_tools.convert.events import EventChunk
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import (
    FIRST_MILLISECOND,
    LAST_MILLISECOND,
    NOT_MILLISECONDS,
    hashed_words,
)
from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import checked_header, read_blocks
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.table_source import read_source
from recbole_llmfashion.errors import UserError

_EVENT_COLUMNS = ("timestamp", "visitorid", "event", "itemid")
_PROPERTY_COLUMNS = ("timestamp", "itemid", "property", "value")
_TREE_COLUMNS = ("categoryid", "parentid")
_PURCHASES = {"view": False, "addtocart": False, "transaction": True}
TITLE_PROPERTY = "888"
TITLE_WORDS = 12
_CATEGORY = "categoryid"


class RetailRocket:
    """A `LogSource`: transactions are purchases, views and additions to the cart are clicks.

    Args:
        events: events.csv.
        properties: item_properties_part1.csv and item_properties_part2.csv.
        tree: category_tree.csv, or None for categories without the levels above.
        title_property: the property whose first words are the title.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show progress bars.
        further: name in `.item` -> property (`attributes.parse_attributes`).

    Raises:
        UserError: a file or a column is missing.
    """

    days = False
    folds = True
    drops_unknown = True
    has_searches = False

    def __init__(
        self,
        events: Path,
        properties: Sequence[Path],
        tree: Path | None = None,
        title_property: str = TITLE_PROPERTY,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
        further: Mapping[str, str] | None = None,
    ) -> None:
        tables = [(events, _EVENT_COLUMNS), *((path, _PROPERTY_COLUMNS) for path in properties)]
        # checked before a long file is read
        for path, columns in [*tables, *([(tree, _TREE_COLUMNS)] if tree else [])]:
            checked_header(path, columns)
        self._events, self._properties, self._title = events, properties, title_property
        self._further = further or {}
        self._parents = {} if tree is None else _parents(tree)
        self._max_broken, self._show = max_broken, show_progress
        files = [path.name for path in (events, *properties, *([tree] if tree else []))]
        self.origin = Origin(
            "retailrocket",
            f"RetailRocket (Kaggle): {', '.join(files)}",
            (
                "transactions are purchases, views and additions to the cart are clicks",
                f"the source has no titles: a title is the first {TITLE_WORDS} hashed words of property"
                f" {title_property}, each as w and its number; values are those of the earliest snapshot",
            ),
        )
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """Events in file order."""
        broken = BrokenLines(self._events.name, self._max_broken)
        for block in read_blocks(self._events, _EVENT_COLUMNS, broken, show_progress=self._show):
            times = parse_numbers(block["timestamp"].to_numpy(object))
            purchases = block["event"].map(_PURCHASES)
            timed = (times >= FIRST_MILLISECOND) & (times <= LAST_MILLISECOND)
            known = purchases.notna().to_numpy()
            named = ((block["visitorid"] != "") & (block["itemid"] != "")).to_numpy()
            good = broken.usable_rows(
                {
                    f"timestamp {NOT_MILLISECONDS}": timed,
                    "event is not view, addtocart or transaction": known,
                    "no visitorid or no itemid": named,
                }
            )
            rows = block[good]
            yield EventChunk(
                rows["visitorid"].to_numpy(object),
                rows["itemid"].to_numpy(object),
                purchases[good].to_numpy(bool),
                times[good] / 1000,
            )
        self.notes += [*broken.finish(), f"{self._events.name}: {broken.n_lines - broken.count:,} events"]

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Items whose title property has a word, in the order of their ids.

        Raises:
            UserError: no item has such a property.
        """
        names = (self._title, _CATEGORY, *self._further.values())
        earliest: dict[str, dict[str, tuple[float, str]]] = {name: {} for name in names}
        for path in self._properties:
            broken = BrokenLines(path.name, self._max_broken)
            for block in read_blocks(path, _PROPERTY_COLUMNS, broken, show_progress=self._show):
                self._keep_earliest(block, item_ids, earliest)
            self.notes += broken.finish()
        titles = {item: " ".join(hashed_words(cell)[:TITLE_WORDS]) for item, (_, cell) in earliest[self._title].items()}
        named = sorted(item for item, title in titles.items() if title)
        if not named:
            raise UserError(
                f"--title-property {self._title}: no item has words in this property; name another property of"
                f" {', '.join(path.name for path in self._properties)}"
            )
        self.notes.append(f"items whose property {self._title} has no words left out: {len(titles) - len(named):,}")
        none = 0.0, ""
        rows = []
        for item in named:
            more = [value_text(earliest[name].get(item, none)[1]) for name in self._further.values()]
            rows.append((item, titles[item], "", "", "", self._path(earliest[_CATEGORY].get(item, none)[1]), *more))
        columns = ["item_id", "title", "brand", "color", "size", "category", *self._further]
        return pd.DataFrame(rows, columns=columns, dtype=object)

    def _keep_earliest(
        self,
        block: pd.DataFrame,
        item_ids: Collection[str] | None,
        earliest: dict[str, dict[str, tuple[float, str]]],
    ) -> None:
        wanted = block["property"].isin(list(earliest))
        if item_ids is not None:
            wanted &= block["itemid"].isin(list(item_ids))
        rows = block[wanted]
        times = parse_numbers(rows["timestamp"].to_numpy(object))
        for time, item, name, value in zip(times, rows["itemid"], rows["property"], rows["value"], strict=True):
            known = earliest[name]
            if item and np.isfinite(time) and (item not in known or time < known[item][0]):
                known[item] = time, value

    def _path(self, level: str) -> str:
        """A category and the levels above it, from the top."""
        levels: list[str] = []
        while level and level not in levels:  # a tree has no circle, a damaged file may
            levels.append(level)
            level = self._parents.get(level, "")
        return " > ".join(f"category-{name}" for name in reversed(levels))

    def searches(self) -> pd.DataFrame:
        """No rows: the source has no searches."""
        return empty_searches()


def value_text(cell: str) -> str:
    """The value of a property: hashed words, or numbers where it has no words.

    >>> value_text("1116713 n277.200"), value_text("n15360.000"), value_text("")
    ('w1116713', '15360.000', '')
    """
    words = hashed_words(cell)
    return " ".join(words or [word[1:] for word in cell.split() if word.startswith("n")])


def _parents(path: Path) -> dict[str, str]:
    frame = read_source(path, _TREE_COLUMNS).frame
    return dict(zip(frame["categoryid"], frame["parentid"], strict=True))
