"""A dataset of RecBole (`.inter`, `.item`) with item text in token or token_seq columns."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.data.atomic.checks import parse_numbers
from recbole_llmfashion.data.atomic.folder import ITEM_ATTRIBUTES, empty_searches
from recbole_llmfashion.data.atomic.table import quote_cell
from recbole_llmfashion.data.atomic.times import LATEST, RANGE
from recbole_llmfashion.dataset_tools.convert.events import EventChunk
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN, BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_text
from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import header_of, read_blocks
from recbole_llmfashion.dataset_tools.convert.readme import Origin
from recbole_llmfashion.dataset_tools.convert.sources.table_parts import (
    KNOWN_ACTIONS,
    action_of,
    time_notes,
)
from recbole_llmfashion.dataset_tools.convert.sources.table_source import (
    advice_on_time,
    parts_of_second,
    require_columns,
    require_file,
)
from recbole_llmfashion.errors import UserError, nearest_name

_TEXT = ("token", "token_seq")


@dataclass(frozen=True)
class Fields:
    """Names of the columns without their types; None if there is no such column.

    Args:
        title, brand, color, size, category: of `.item`.
        user, time, action: of `.inter`.
        item: of both files.
        further: name in the dataset's `.item` -> column of `.item` (`attributes.parse_attributes`).
        time_unit: unit of the times: s, ms, us or ns.
    """

    title: str
    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    action: str | None = None
    brand: str | None = None
    color: str | None = None
    size: str | None = None
    category: str | None = None
    further: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "s"


class RecBoleDataset:
    """A `LogSource`: every row is a purchase, or the action of the action column.

    Args:
        folder: a folder with one `.inter` file and the `.item` file of the same name.
        fields: names of the columns.
        drops_unknown: whether events of items that `.item` lacks are left out and counted; otherwise an error.
        max_broken: largest share of lines that cannot be used.
        show_progress: whether to show progress bars.

    Raises:
        UserError: the folder, a file or a column is missing.
    """

    days = False
    folds = False
    has_searches = False

    def __init__(
        self,
        folder: Path,
        fields: Fields,
        drops_unknown: bool = False,
        max_broken: float = MAX_BROKEN,
        show_progress: bool = False,
    ) -> None:
        self._inter = _only_inter(folder)
        self._item = self._inter.with_suffix(".item")
        self._fields, self._max_broken, self._show = fields, max_broken, show_progress
        self._parts = parts_of_second(fields.time_unit)
        self.drops_unknown = drops_unknown
        self.notes: list[str] = []
        named = [fields.user, fields.item, fields.time, *([fields.action] if fields.action else [])]
        self._inter_columns = _typed(self._inter, named, {fields.time: ("float",)})
        texts = [fields.title, *(column for name in ITEM_ATTRIBUTES if (column := getattr(fields, name)))]
        further = [column for column in fields.further.values() if column not in texts]
        types: dict[str, tuple[str, ...]] = dict.fromkeys(further, (*_TEXT, "float"))
        self._item_columns = _typed(self._item, [fields.item, *texts, *further], types)
        actions = f"the column {fields.action}" if fields.action else "every row is a purchase"
        self.origin = Origin(
            "recbole",
            f"the RecBole dataset {self._inter.stem}",
            (f"title: {fields.title}; actions: {actions}",),
        )

    def events(self) -> Iterator[EventChunk]:
        """Rows of `.inter` in file order.

        Raises:
            UserError: a time is too large; a wrong unit is no broken line.
        """
        broken = BrokenLines(self._inter.name, self._max_broken)
        first, last = np.inf, -np.inf
        no_time: tuple[str, int] | None = None
        for block in self._blocks(self._inter, self._inter_columns, broken):
            seconds = parse_numbers(block[self._fields.time].to_numpy(object)) / self._parts
            for row in np.flatnonzero(np.isfinite(seconds) & (seconds >= LATEST))[:1]:
                raise self._too_late(block[self._fields.time].iloc[row])
            users, items = block[self._fields.user].to_numpy(object), block[self._fields.item].to_numpy(object)
            timed, named = (seconds >= 0) & np.isfinite(seconds), (users != "") & (items != "")
            good = timed & named
            if not timed.all():
                no_time = no_time or self._no_time(block[self._fields.time][~timed].iloc[0])
                broken.add(*no_time, n=int((~timed).sum()))
            if not good[timed].all():
                broken.add("no user or no item", n=int((~named[timed]).sum()))
            if good.any():
                first, last = min(first, float(seconds[good].min())), max(last, float(seconds[good].max()))
            yield EventChunk(users[good], items[good], self._purchases(block)[good], seconds[good])
        self.notes += broken.finish()
        self.notes += time_notes(self._inter.name, pd.Series([first, last]), False, self._fields.time_unit)

    def items(self, item_ids: Collection[str] | None) -> pd.DataFrame:
        """Items with a title, in file order.

        Raises:
            UserError: an item occurs twice.
        """
        broken = BrokenLines(self._item.name, self._max_broken)
        names = ["item_id", "title", *ITEM_ATTRIBUTES, *self._fields.further]
        parts = [pd.DataFrame(columns=names, dtype=object)]
        for block in self._blocks(self._item, self._item_columns, broken):
            rows = block if item_ids is None else block[block[self._fields.item].isin(list(item_ids))]
            cells = {"item_id": rows[self._fields.item], "title": rows[self._fields.title].map(as_text)}
            for name in ITEM_ATTRIBUTES:
                column = getattr(self._fields, name)
                cells[name] = rows[column].map(as_text) if column else pd.Series("", index=rows.index, dtype=object)
            cells |= {name: rows[column].map(as_text) for name, column in self._fields.further.items()}
            parts.append(pd.DataFrame(cells))
        items = pd.concat(parts, ignore_index=True)
        for item in items["item_id"][items["item_id"].duplicated()][:1]:
            raise UserError(f"{self._item.name}: expected each item once, found {quote_cell(item)} twice; keep one row")
        usable = (items["title"] != "") & (items["item_id"] != "")
        self.notes += broken.finish()
        self.notes.append(f"{self._item.name}: {int((~usable).sum()):,} items without a title left out")
        return items[usable].reset_index(drop=True)

    def searches(self) -> pd.DataFrame:
        """No rows: RecBole has no searches."""
        return empty_searches()

    def _too_late(self, cell: str) -> UserError:
        """The error of a time that is too large."""
        expected, line = self._no_time(cell)
        probably, advice = advice_on_time(float(cell))
        return UserError(f"{self._inter.name}, line {line}, {expected}{probably}; {advice}")

    def _no_time(self, cell: str) -> tuple[str, int]:
        """What is wrong with a time, and its first line; blocks do not know their lines, so the file is read again."""
        names = [field.rpartition(":")[0] or field for field in header_of(self._inter, "\t")]
        place = names.index(self._fields.time)
        with self._inter.open(encoding="utf-8-sig", newline="\n", errors="replace") as lines:
            rows = ((number, line.rstrip("\r\n").split("\t")) for number, line in enumerate(lines, 1))
            line = next(number for number, cells in rows if len(cells) == len(names) and cells[place] == cell)
        return f"column {self._fields.time}: expected a number of {RANGE}, found {quote_cell(cell)}", line

    def _blocks(self, path: Path, columns: dict[str, str], broken: BrokenLines) -> Iterator[pd.DataFrame]:
        for block in read_blocks(path, list(columns), broken, "\t", quotes=False, show_progress=self._show):
            yield block.rename(columns=columns)

    def _purchases(self, block: pd.DataFrame) -> NDArray[np.bool_]:
        column = self._fields.action
        if column is None:
            return np.ones(len(block), dtype=bool)
        codes, words = pd.factorize(block[column])
        meanings = [action_of(word) for word in words]
        if None in meanings:
            word = quote_cell(words[meanings.index(None)])
            raise UserError(f"{self._inter.name}, column {column}: expected {KNOWN_ACTIONS}, found {word}; rename it")
        return np.array([meaning == "purchase" for meaning in meanings], dtype=bool)[codes]


def _only_inter(folder: Path) -> Path:
    if not folder.is_dir():
        near = nearest_name(folder.name, (p.name for p in folder.parent.iterdir())) if folder.parent.is_dir() else None
        raise UserError(f"{folder}: no such folder" + (f"; the nearest is {folder.parent / near}" if near else ""))
    files = sorted(folder.glob("*.inter"))
    if len(files) != 1:
        names = ", ".join(path.name for path in files) or "none"
        raise UserError(f"{folder}: expected one .inter file, found {names}; join the parts of a benchmark's split")
    return files[0]


def _typed(path: Path, names: list[str], types: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Header field -> name of the given columns.

    Args:
        path: the file.
        names: of the columns.
        types: name -> types allowed; token or token_seq for other columns.

    Raises:
        UserError: a column is missing or has another type.
    """
    require_file(path)
    fields = header_of(path, "\t")
    by_name = {field.rpartition(":")[0] or field: field for field in fields}
    require_columns(path, names, list(by_name))
    for name in names:
        expected = types.get(name, _TEXT)
        kind = by_name[name].rpartition(":")[2]
        if kind not in expected:
            raise UserError(
                f"{path.name}: column {quote_cell(name)}: expected the type {' or '.join(expected)}, "
                f"found {quote_cell(kind)}; name another column"
            )
    return {by_name[name]: name for name in names}
