"""KuaiSAR (Sun et al. 2023, arXiv 2306.07705): videos that users of Kuaishou watched and searched for.

The columns are those of the publishers' page (https://github.com/Ethan00Si/KuaiSAR, pages/decriptions.md):

- rec_inter.csv: user_id, item_id, timestamp (milliseconds), click, and others.
- src_inter.csv: user_id, search_session_id, search_session_timestamp (milliseconds), keyword (a list of numbers that
  stand for words), item_id, click_cnt, and others; a row per item shown.
- item_features.csv: item_id, caption (a list of such numbers), first_level_category_name_en to
  fourth_level_category_name_en, and others.

The source has no purchases and no readable titles. A click is a purchase here, since the evaluation predicts purchases.
The title is the caption; a hashed word is written with a `w` before its number, so that it counts as a word. A click
on a search's result comes one millisecond after the search, whose time is the only one published.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.checks import MAX_RESULTS, parse_numbers
from recbole_llmfashion.dataset_tools.convert.events import EventChunk
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import (
    FIRST_MILLISECOND,
    LAST_MILLISECOND,
    NOT_MILLISECONDS,
    as_path,
    as_text,
    hashed_words,
)
from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import checked_header, read_blocks
from recbole_llmfashion.dataset_tools.convert.readme import Origin

_WATCHED = ("user_id", "item_id", "timestamp", "click")
_SEARCHED = ("user_id", "item_id", "search_session_timestamp", "click_cnt")
_QUERY_COLUMNS = ("user_id", "search_session_id", "search_session_timestamp", "keyword", "item_id")
_LEVELS = tuple(f"{level}_level_category_name_en" for level in ("first", "second", "third", "fourth"))
_ITEM_COLUMNS = ("item_id", "caption", *_LEVELS)
_NO_LEVEL = ("empty", "UNKNOWN")
_AFTER_SEARCH = 0.001
TITLE_WORDS = 16


class KuaiSAR:
    """A `LogSource`: every click, on a recommended item or on a result, is a purchase.

    Args:
        recommended: rec_inter.csv.
        searched: src_inter.csv.
        items: item_features.csv.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show progress bars.
        further: name in `.item` -> column of the items (`attributes.parse_attributes`).

    Raises:
        UserError: a file or a column is missing.
    """

    days = False
    folds = True
    drops_unknown = True
    has_searches = True

    def __init__(
        self,
        recommended: Path,
        searched: Path,
        items: Path,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
        further: Mapping[str, str] | None = None,
    ) -> None:
        self._further = further or {}
        self._item_columns = (*_ITEM_COLUMNS, *self._further.values())
        tables = ((recommended, _WATCHED), (searched, (*_SEARCHED, *_QUERY_COLUMNS)), (items, self._item_columns))
        # checked before a long file is read
        for path, columns in tables:
            checked_header(path, tuple(dict.fromkeys(columns)))
        self._recommended, self._searched, self._items = recommended, searched, items
        self._max_broken, self._show = max_broken, show_progress
        self.origin = Origin(
            "kuaisar",
            f"KuaiSAR (arXiv 2306.07705): {recommended.name}, {searched.name}, {items.name}",
            (
                "the source has no purchases: every click is a purchase",
                f"a title is the first {TITLE_WORDS} hashed words of the caption, each as w and its number",
            ),
            "They are hashed words, each w and its number, as in the titles.",
        )
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """Clicks on recommended items in file order, then clicks on results in file order."""
        yield from self._clicks(self._recommended, _WATCHED, 0.0)
        yield from self._clicks(self._searched, _SEARCHED, _AFTER_SEARCH)

    def _clicks(self, path: Path, columns: tuple[str, ...], later: float) -> Iterator[EventChunk]:
        user, item, time, click = columns
        broken = BrokenLines(path.name, self._max_broken)
        without = 0
        for block in read_blocks(path, columns, broken, show_progress=self._show):
            times, clicks = (parse_numbers(block[name].to_numpy(object)) for name in (time, click))
            timed = (times >= FIRST_MILLISECOND) & (times <= LAST_MILLISECOND)
            named = ((block[user] != "") & (block[item] != "")).to_numpy()
            usable = broken.usable_rows({f"{time} {NOT_MILLISECONDS}": timed, "no user_id or no item_id": named})
            good = usable & (clicks > 0)
            without += int((usable & ~good).sum())
            users, items = (block[name].to_numpy(object)[good] for name in (user, item))
            yield EventChunk(users, items, np.ones(int(good.sum()), bool), times[good] / 1000 + later)
        self.notes += [*broken.finish(), f"{path.name}: items shown without a click left out: {without:,}"]

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Items whose caption has a word, in file order; of a repeated item_id the first."""
        broken = BrokenLines(self._items.name, self._max_broken)
        rows: dict[str, tuple[str, ...]] = {}
        untitled = repeated = 0
        for block in read_blocks(self._items, self._item_columns, broken, show_progress=self._show):
            ids = block.iloc[:, 0]
            broken.add_rows("no item_id", (ids == "").to_numpy())
            wanted = block[(ids != "") & (item_ids is None or ids.isin(list(item_ids)))]
            for item, caption, *cells in wanted.itertuples(index=False, name=None):
                title = " ".join(hashed_words(caption)[:TITLE_WORDS])
                untitled += not title
                repeated += item in rows
                if title and item not in rows:
                    levels = [level for level in cells[: len(_LEVELS)] if level not in _NO_LEVEL]
                    rows[item] = (title, as_path(levels), *map(as_text, cells[len(_LEVELS) :]))
        self.notes += broken.finish()
        self.notes.append(
            f"{self._items.name}: left out {untitled:,} items without a caption and {repeated:,} repeated ones"
        )
        frame = [(item, title, "", "", "", path, *more) for item, (title, path, *more) in rows.items()]
        columns = ["item_id", "title", "brand", "color", "size", "category", *self._further]
        return pd.DataFrame(frame, columns=columns, dtype=object)

    def searches(self) -> pd.DataFrame:
        """A search per session with a keyword, in the order of their first rows; results are the first items shown."""
        broken = BrokenLines(self._searched.name, 1.0)  # the lines were counted when the events were read
        found: dict[tuple[str, str, float], tuple[str, list[str]]] = {}
        for block in read_blocks(self._searched, _QUERY_COLUMNS, broken, show_progress=self._show):
            times = parse_numbers(block["search_session_timestamp"].to_numpy(object))
            timed = (times >= FIRST_MILLISECOND) & (times <= LAST_MILLISECOND)
            for (user, session, _, keyword, item), time in zip(
                block[timed].itertuples(index=False), times[timed] / 1000, strict=True
            ):
                shown = found.setdefault((user, session, time), (" ".join(hashed_words(keyword)), []))[1]
                if item and len(shown) < MAX_RESULTS and item not in shown:
                    shown.append(item)
        kept = [(user, time, query, shown) for (user, _, time), (query, shown) in found.items() if user and query]
        self.notes.append(f"{self._searched.name}: searches without a keyword left out: {len(found) - len(kept):,}")
        return pd.DataFrame(kept, columns=["user_id", "timestamp", "query", "results"]).astype({"timestamp": float})
