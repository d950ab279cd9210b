"""MiniOneRec's windows: CSV files whose rows are a user's recent items and the next one.

MiniOneRec (https://github.com/AkaliKong/MiniOneRec, convert_dataset.py writes the files, data.py reads them) publishes
data/Amazon/train, valid and test, each a CSV with the columns user_id, history_item_title, item_title, history_item_id,
item_id, history_item_sid and item_sid. The histories are lists in Python's notation, oldest item first, which
`ast.literal_eval` reads without running anything. A history is cut to its last items, and a file may have few windows
of a user, so the windows of a user overlap; they are joined to one sequence.
"""

import ast
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import empty_searches
from recbole_llmfashion.dataset_tools.convert.events import EventChunk, Row, chunks_of
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_id, as_text
from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import checked_header, read_blocks
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.sequences.joining import Joined, join
from recbole_llmfashion.dataset_tools.convert.sources.sequences.sequence_files import ORDER

_COLUMNS = ("user_id", "history_item_id", "item_id", "history_item_title", "item_title")
_Window = tuple[str, list[str], list[str]]  # user, items, titles


class Windows:
    """A `LogSource`: every item is a purchase, and its position in the user's joined sequence is its time.

    Args:
        files: the CSV files in the order of time: train, valid, test.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show progress bars.

    Raises:
        UserError: a file or a column is missing.
    """

    days = False
    folds = False
    drops_unknown = True
    has_searches = False

    def __init__(self, files: Sequence[Path], max_broken: float = MAX_BROKEN, show_progress: bool = False) -> None:
        # checked before a long file is read
        for path in files:
            checked_header(path, _COLUMNS)
        self._files, self._max_broken, self._show = files, max_broken, show_progress
        self._titles: dict[str, str] = {}
        names = ", ".join(path.name for path in files)
        self.origin = Origin("minionerec", f"MiniOneRec's windows: {names}", (ORDER,))
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """The joined sequences, users in the order of their first window."""
        return chunks_of(self._rows())

    def _rows(self) -> Iterator[Row]:
        sequences: dict[str, list[str]] = {}
        counts = dict.fromkeys(Joined, 0)
        retitled = 0
        for path in self._files:
            broken = BrokenLines(path.name, self._max_broken)
            for user, items, titles in self._windows(path, broken):
                sequences[user], how = join(sequences.get(user, []), items)
                counts[how] += 1
                for item, title in zip(items, titles, strict=True):
                    retitled += bool(title) and self._titles.setdefault(item, title) != title
            self.notes += [*broken.finish(), f"{path.name}: {broken.n_lines - broken.count:,} windows"]
        self.notes += [
            f"windows joined to {len(sequences):,} sequences; {counts[Joined.inside]:,} were parts of earlier ones,"
            f" {counts[Joined.apart]:,} do not overlap and follow after a gap",
            f"titles that differ from an item's first title ignored: {retitled:,}",
        ]
        for user, sequence in sequences.items():
            yield from ((user, item, True, float(place)) for place, item in enumerate(sequence))

    def _windows(self, path: Path, broken: BrokenLines) -> Iterator[_Window]:
        for block in read_blocks(path, _COLUMNS, broken, show_progress=self._show):
            for cells in block.itertuples(index=False):
                window = _window(*cells)
                if isinstance(window, str):
                    broken.add(window)
                else:
                    yield window

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Items of the windows, in the order of their first window."""
        rows = [
            (item, title, "", "", "", "")
            for item, title in self._titles.items()
            if item_ids is None or item in item_ids
        ]
        return pd.DataFrame(rows, columns=["item_id", "title", "brand", "color", "size", "category"], dtype=object)

    def searches(self) -> pd.DataFrame:
        """No rows: the source has no searches."""
        return empty_searches()


def _window(user: str, history: str, item: str, history_titles: str, title: str) -> _Window | str:
    """A window, or the reason why the line cannot be used."""
    ids, titles = _list(history), _list(history_titles)
    if ids is None or titles is None:
        return "history_item_id or history_item_title is not a list"
    items = [as_id(value) for value in (*ids, item)]
    named = [value for value in items if value is not None]
    if not user or len(named) < len(items):
        return "no user_id, or an item without an id"
    if len(titles) != len(ids):
        return "history_item_title and history_item_id have different lengths"
    return user, named, [*map(as_text, titles), as_text(title)]


def _list(cell: str) -> list | None:
    """A list in Python's notation, or None."""
    try:
        found = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return found if isinstance(found, list) else None
