"""RecBole's keys of the rows and columns that this package does not apply: another value is an error.

Every model and every prompt reads the same rows, from files with fixed columns. A key that RecBole would apply to the
rows of one model must not be without effect in silence. Imports neither RecBole nor torch.
"""

from collections.abc import Mapping
from typing import Any

from recbole_llmfashion.errors import UserError

ALL = "[0,inf)"  # every number of interactions
_CONVERT = "make the folder with `recbole-llmfashion convert recbole`"
_CORE = f"{_CONVERT} --k-core N"
_FILTER = "filter the atomic files, and run `recbole-llmfashion clean DIR`"
_COLUMNS = "the columns of the atomic files are fixed; leave it out"
_NUMBERS = "no number column is read; leave it out"

# What to do instead, by key.
INSTEAD: dict[str, str] = {
    "rm_dup_inter": f"repeated actions count; {_FILTER}",
    "val_interval": _FILTER,
    "user_inter_num_interval": _CORE,
    "item_inter_num_interval": _CORE,
    "filter_inter_by_user_or_item": "an action with an item that .item lacks is an error; leave it out",
    "benchmark_filename": "the split is made from one .inter file; join the parts, and leave it out",
    "threshold": "there are no labels; leave it out",
    "preload_weight": _NUMBERS,
    "normalize_field": _NUMBERS,
    "normalize_all": _NUMBERS,
    "discretization": _NUMBERS,
    "numerical_features": _NUMBERS,
    "seq_len": _COLUMNS,
    "unload_col": _COLUMNS,
    "unused_col": _COLUMNS,
    "additional_feat_suffix": _COLUMNS,
    **dict.fromkeys(("alias_of_user_id", "alias_of_item_id", "alias_of_entity_id", "alias_of_relation_id"), _COLUMNS),
    "USER_ID_FIELD": f"the column is user_id; {_CONVERT} --user COL",
    "ITEM_ID_FIELD": f"the column is item_id; {_CONVERT} --item COL",
    "TIME_FIELD": f"the column is timestamp; {_CONVERT} --time COL",
    "field_separator": f"columns are separated by tabs; {_CONVERT}",
    "seq_separator": f"results are separated by spaces; {_CONVERT}",
}
# The columns that `load_col` may name, by file; it has no other effect, since each model reads what it needs.
LOADED = {
    "inter": {"user_id", "item_id", "action", "timestamp"},
    "search": {"user_id", "timestamp", "query", "results"},
    "item": {
        "item_id", "title", "brand", "color", "size", "category", "season", "occasion", "price", "available_from",
    },
}  # fmt: skip


def check_row_keys(values: Mapping[str, Any], defaults: Mapping[str, Any], source: str) -> None:
    """Checks one layer.

    Args:
        values: of keys that the model has.
        defaults: the model's keys with their defaults.
        source: of the values, for messages.

    Raises:
        UserError: a key that would change the rows or columns of RecBole's models has another value than its default.
    """
    for key, value in values.items():
        if key in INSTEAD and not _is_default(key, value, defaults.get(key)):
            raise UserError(f"{source}: {key}: found '{value}', which is not applied here; {INSTEAD[key]}")
    _check_load_col(values.get("load_col"), source)


def _is_default(key: str, value: Any, default: Any) -> bool:
    """Whether a value changes nothing; an interval may be written in several ways."""
    if key.endswith("_interval") and isinstance(value, str):
        every_user = ("[1,inf)", "(0,inf)") if key == "user_inter_num_interval" else ()
        return value.replace(" ", "") in (ALL, *every_user)
    return value == default or value in (None, [], {})


def _check_load_col(value: Any, source: str) -> None:
    if value is None:
        return
    for file, columns in value.items():
        known = LOADED.get(str(file))
        if known is None:
            raise UserError(f"{source}: load_col: no file '.{file}' is read; leave it out")
        for column in columns if isinstance(columns, list) else []:
            if column not in known:
                raise UserError(f"{source}: load_col: .{file} has no column '{column}'; leave it out")
