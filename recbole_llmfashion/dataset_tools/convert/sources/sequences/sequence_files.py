"""Files with a line `user item item item ..` per user, and a file of items.

IDGenRec (https://github.com/agiresearch/IDGenRec, rec_datasets/*/user_sequence.txt), GRAM and GRLM
(https://github.com/ZY0025/GRLM, in_domain/*/raw_data/sequential_data.txt) publish such sequences, as S3-Rec did before.
They are separated by spaces and in the order of time; the times themselves are not published.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import empty_searches
from recbole_llmfashion.dataset_tools.convert.events import EventChunk, Row, chunks_of
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.text_lines import read_lines
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.sequences.item_texts import read_items
from recbole_llmfashion.dataset_tools.convert.sources.table_source import require_file

ORDER = "every action is a purchase; the source has the order of a user's actions without times: a time is its position"


class SequenceFiles:
    """A `LogSource`: every item of a sequence is a purchase, and its position is its time.

    Args:
        sequences: the file of sequences, plain or .gz.
        items: the file of items, .json or lines of text.
        drops_unknown: whether actions on items that the items lack are left out and counted; otherwise an error.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show progress bars.
        further: name in `.item` -> field of the items (`attributes.parse_attributes`).

    Raises:
        UserError: a file is missing.
    """

    days = False
    folds = False
    has_searches = False

    def __init__(
        self,
        sequences: Path,
        items: Path,
        drops_unknown: bool = False,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
        further: Mapping[str, str] | None = None,
    ) -> None:
        self._further = further or {}
        for path in (sequences, items):
            require_file(path)
        self._sequences, self._items = sequences, items
        self.drops_unknown = drops_unknown
        self._max_broken, self._show = max_broken, show_progress
        self.origin = Origin("sequences", f"the sequences {sequences.name} and the items {items.name}", (ORDER,))
        self.notes: list[str] = []

    def events(self) -> Iterator[EventChunk]:
        """The items of each sequence, in file order."""
        return chunks_of(self._rows())

    def _rows(self) -> Iterator[Row]:
        broken = BrokenLines(self._sequences.name, self._max_broken)
        users: set[str] = set()
        reason = "expected a user and items, separated by spaces"
        for number, (user, *items) in read_lines(self._sequences, broken, _words, reason, self._show):
            if user in users:
                broken.add("a user of an earlier line", number)
                continue
            users.add(user)
            yield from ((user, item, True, float(place)) for place, item in enumerate(items))
        self.notes += [*broken.finish(), f"{self._sequences.name}: {len(users):,} sequences"]

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Items with a title, in file order; of a repeated id the first."""
        broken = BrokenLines(self._items.name, self._max_broken)
        rows: dict[str, tuple[str, ...]] = {}
        untitled = repeated = 0
        for item, cells in read_items(self._items, broken, self._show, list(self._further.values())):
            if item_ids is not None and item not in item_ids:
                continue
            untitled += not cells[0]
            repeated += item in rows
            if cells[0]:
                rows.setdefault(item, cells)
        self.notes += broken.finish()
        self.notes.append(
            f"{self._items.name}: left out {untitled:,} items without a title and {repeated:,} repeated ones"
        )
        columns = ["item_id", "title", "brand", "color", "size", "category", *self._further]
        return pd.DataFrame([(item, *cells) for item, cells in rows.items()], columns=columns, dtype=object)

    def searches(self) -> pd.DataFrame:
        """No rows: the source has no searches."""
        return empty_searches()


def _words(line: bytes) -> list[str] | None:
    """The user and the items of a line, or None."""
    try:
        words = line.decode("utf-8-sig").split()
    except UnicodeDecodeError:
        return None
    return words if len(words) > 1 else None
