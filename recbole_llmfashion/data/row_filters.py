"""RecBole's filters of rows, applied to the files once, before the click filter and the split (docs/method.md, "Rows").

RecBole would filter its own rows only; here every model and every prompt reads what the filters leave. Afterwards each
user's rows are cut after the final purchase, as `clean` cuts them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.folder import INTER, AtomicFolder
from recbole_llmfashion.data.atomic.table import quote_cell
from recbole_llmfashion.data.split import final_purchases
from recbole_llmfashion.errors import UserError

KEYS = ("rm_dup_inter", "val_interval", "user_inter_num_interval", "item_inter_num_interval")
_EVERYTHING = "[0,inf)"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RowFilters:
    """The filters of a config, in the order in which they apply.

    Args:
        duplicates: `first` or `last`, the one that stays of a user's purchases of an item, and of the clicks on it;
            None keeps all.
        values: column of the package -> an interval, or a list of the values that stay.
        users, items: intervals of the number of rows that a user or an item has.
    """

    duplicates: str | None
    values: Mapping[str, Any]
    users: str
    items: str

    @classmethod
    def of(cls, config: Any) -> Self:
        """Those that RecBole's keys ask for; values are checked by config/values.py."""
        names = FieldNames.of(config)
        own = {names.file_column(column): column for column in INTER.required}
        values = {own.get(column, column): value for column, value in (config["val_interval"] or {}).items()}
        users, items = (str(config[key] or _EVERYTHING) for key in KEYS[2:])
        return cls(config["rm_dup_inter"], values, users, items)

    def apply(self, folder: AtomicFolder) -> AtomicFolder:
        """The folder with the rows and items that stay; the same one if nothing is filtered.

        Raises:
            UserError: val_interval names a column that is not there or no interval of its numbers, or no row stays.
        """
        rows, items = folder.interactions, folder.items
        if self.duplicates:
            # RecBole has no actions; here a click must not take the place of the purchase of the same item
            same = ["user_id", "item_id", "action"]
            rows = rows[~rows.duplicated(same, keep=self.duplicates)]  # type: ignore[arg-type]
        for column, value in self.values.items():
            rows, items = self._by_value(folder, rows, items, column, value)
        rows = rows[rows["item_id"].isin(items["item_id"])] if len(items) < len(folder.items) else rows
        rows, items = self._by_count(rows, items)
        if len(rows) < len(folder.interactions):
            rows = rows[until_purchase(rows)]
        if not len(rows):
            raise UserError(f"{folder.path}: {', '.join(KEYS)} leave no user with a purchase; filter less")
        if len(rows) == len(folder.interactions) and len(items) == len(folder.items):
            return folder
        return replace(
            folder,
            interactions=rows.reset_index(drop=True),
            items=items.reset_index(drop=True),
            searches=_with_results_of(folder.searches, items["item_id"], len(items) < len(folder.items)),
        )

    def _by_value(
        self, folder: AtomicFolder, rows: pd.DataFrame, items: pd.DataFrame, column: str, value: Any
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        kinds = {**folder.item_types, **INTER.required}
        if column not in kinds:
            known = ", ".join(folder.names.file_column(name) for name in kinds)
            raise UserError(f"val_interval: no column '{column}' in .inter or .item; choose from {known}")
        frames = {"rows": rows, "items": items}
        for name, frame in frames.items():
            if column in frame:
                frames[name] = frame[_stays(frame[column], kinds[column], folder.names.file_column(column), value)]
        return frames["rows"], frames["items"]

    def _by_count(self, rows: pd.DataFrame, items: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Repeated until every user and every item has as many rows as it must have."""
        while True:
            of_user = rows["user_id"].map(rows["user_id"].value_counts()).to_numpy()
            counts = items["item_id"].map(rows["item_id"].value_counts()).fillna(0).to_numpy()
            stay = (within(counts, self.items) | (counts == 0)) & (counts >= _lowest(self.items))
            keep = within(of_user, self.users) & rows["item_id"].isin(items["item_id"][stay]).to_numpy()
            if keep.all() and stay.all():
                return rows, items
            rows, items = rows[keep], items[stay]


def within(numbers: NDArray[Any], intervals: str) -> Mask:
    """Whether each number is in one of RecBole's intervals; NaN is in none.

    Raises:
        ValueError: the text is none.

    >>> within(np.array([2.0, 3.0, 5.0, 9.0]), "[3,5);(8,inf)").tolist()
    [False, True, False, True]
    """
    found = np.zeros(len(numbers), bool)
    for text in intervals.split(";"):
        piece = text.strip()
        low, high = map(float, piece[1:-1].split(","))
        if not low <= high:
            raise ValueError(f"no interval: {piece}")
        above = numbers >= low if piece[0] == "[" else numbers > low
        found |= above & (numbers <= high if piece[-1] == "]" else numbers < high)
    return found


def _lowest(intervals: str) -> float:
    """The lower end of the first interval, below which RecBole drops items, also those without rows."""
    return float(intervals.split(";")[0].strip()[1:-1].split(",")[0])


def _stays(cells: pd.Series, kind: str, column: str, value: Any) -> Mask:
    if kind == "float":
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
        try:
            return within(numbers, str(value))  # an unquoted [10, 20] is a list in YAML, which RecBole reads too
        except ValueError as error:  # config/values.py does not know which columns have numbers, so it takes any list
            found = quote_cell(f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value))
            raise UserError(
                f'val_interval: {column}: expected an interval such as "[0,60]", found {found}; write its two ends, '
                "times in seconds"
            ) from error
    if kind != "token":
        raise UserError(f"val_interval: {column}: expected a float or token column, found {kind}; leave {column} out")
    if not isinstance(value, list):
        raise UserError(f"val_interval: {column}: expected a list of values of a token column, found '{value}'")
    return cells.isin([str(one) for one in value]).to_numpy()


def until_purchase(rows: pd.DataFrame) -> Mask:
    """Whether each row is not after its user's final purchase, of rows in which a user's are together."""
    codes = pd.factorize(rows["user_id"])[0]
    return np.arange(len(rows)) <= final_purchases(codes, (rows["action"] == "purchase").to_numpy())[codes]


def _with_results_of(searches: pd.DataFrame, item_ids: pd.Series, fewer: bool) -> pd.DataFrame:
    """The searches; their results are among the items that stay."""
    if not fewer:
        return searches
    known = set(item_ids)
    results = [" ".join(item for item in cell.split(" ") if item in known) for cell in searches["results"]]
    return searches.assign(results=pd.Series(results, index=searches.index, dtype=object))
