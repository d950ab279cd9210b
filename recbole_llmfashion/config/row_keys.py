"""RecBole's keys of rows, columns and the run: the names of three columns, and keys that this package does not apply.

Every model and every prompt reads the same rows, and a run trains and keeps its models in its own way. A key that
would have no effect must not be silent, so another value than its default is an error, which says what to do instead.
Imports neither RecBole nor torch.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from recbole_llmfashion.config.allowed import COLUMN_NAME, shown
from recbole_llmfashion.errors import UserError

_CONVERT = "make the folder with `recbole-llmfashion convert recbole`"
_COLUMNS = "the columns of the atomic files are fixed; leave it out"
_NUMBERS = "no number column is read; leave it out"
_GRAPH = "no model here reads a knowledge graph; leave it out"
_KEPT = "a run keeps its trained models in checkpoint_dir and reads the rows from data_path; leave it out"
_ONE_PROCESS = "a model of RecBole trains in one process; num_train_workers divides the LLM's fine-tuning"

INSTEAD: dict[str, str] = {
    # rows and columns
    "filter_inter_by_user_or_item": "an action with an item that .item lacks is an error; leave it out",
    "benchmark_filename": "the split is made from one .inter file; join the parts, and leave it out",
    "threshold": "there are no labels; leave it out",
    "RATING_FIELD": "no ratings are read; leave it out",
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
    "field_separator": f"columns are separated by tabs; {_CONVERT}",
    "seq_separator": f"results are separated by spaces; {_CONVERT}",
    # knowledge graphs
    **dict.fromkeys(
        (
            "HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD", "ENTITY_ID_FIELD", "kg_reverse_r",
            "entity_kg_num_interval", "relation_kg_num_interval",
        ),
        _GRAPH,
    ),
    # the run
    **dict.fromkeys(("save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path"), _KEPT),
    "nproc": _ONE_PROCESS,
    "config_file": "files of keys are given as --config_files a.yaml b.yaml",
    "config_files": "a file of keys names no further ones; give each to --config_files",
    "require_pow": "no sequential model reads it; leave it out",
}  # fmt: skip
# Values beside the default that change nothing.
_HARMLESS: dict[str, tuple[Any, ...]] = {"nproc": (1,)}
# Options of RecBole's launcher that are no keys of its files.
LAUNCHER = dict.fromkeys(("ip", "port", "world_size", "group_offset"), _ONE_PROCESS)
# Key that names a column of a dataset's files -> the name that the package has for it.
FIELD_KEYS = {"USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id", "TIME_FIELD": "timestamp"}
# The columns that `load_col` may name, by file; it has no other effect, since each model reads what it needs. `.item`
# may have further ones, so data/dataset.py checks those.
LOADED = {
    "inter": {"user_id", "item_id", "action", "timestamp"},
    "search": {"user_id", "timestamp", "query", "results"},
    "item": {
        "item_id", "title", "brand", "color", "size", "category", "season", "occasion", "price", "available_from",
    },
}  # fmt: skip
# Further columns of the rows that RecBole's models get (data/dataset.py).
OF_ROWS = {"history_length", "target_purchase", "recommend_time", "split_code", "history_end"}
# Keys that name further columns of RecBole.
_RECBOLE_FIELDS = ("LABEL_FIELD", "ITEM_LIST_LENGTH_FIELD", "POSITION_FIELD")


def field_keys(layers: Iterable[tuple[str, Mapping[str, Any]]], defaults: Mapping[str, Any]) -> dict[str, str]:
    """The names of a dataset's columns for users, items and times, by key.

    Args:
        layers: (source, keys), later ones win.
        defaults: RecBole's, with the keys that name further columns.

    Raises:
        UserError: a key names a column that means something else, or two keys name one.
    """
    source = dict.fromkeys((*FIELD_KEYS, *_RECBOLE_FIELDS), "properties")
    names = dict(FIELD_KEYS)
    every = dict(defaults)
    for place, values in layers:
        every |= values
        source |= dict.fromkeys(source.keys() & values.keys(), place)
        names |= {key: values[key] for key in FIELD_KEYS.keys() & values.keys()}
    for key in _RECBOLE_FIELDS:
        if str(every.get(key)) in OF_ROWS:
            raise UserError(f"{source[key]}: {key}: '{every[key]}' is a column of RecBole's rows; choose another name")
    taken = {column: f"a column of .{file}" for file, columns in LOADED.items() for column in columns}
    taken |= dict.fromkeys(OF_ROWS, "a column of RecBole's rows")
    taken |= {str(every[key]): f"the column of {key}" for key in _RECBOLE_FIELDS if every.get(key)}
    for own in FIELD_KEYS.values():
        del taken[own]
    for key, name in names.items():
        if not COLUMN_NAME.holds(name):
            raise UserError(f"{source[key]}: {key}: expected {COLUMN_NAME.words}, found {shown(name)}")
        columns = (name, f"{name}{every.get('LIST_SUFFIX')}", f"{every.get('NEG_PREFIX')}{name}")
        for column in columns:
            if column in taken:
                raise UserError(f"{source[key]}: {key}: '{column}' is {taken[column]}; rename the column")
        taken |= dict.fromkeys(columns, f"the column of {key}")
    return names


def check_load_col(value: Any, source: str, names: Mapping[str, str] = MappingProxyType({})) -> None:
    """Checks the key `load_col` of one layer.

    Args:
        value: of the key.
        source: of the value, for messages.
        names: as `field_keys` gives them.

    Raises:
        UserError: it names a file or a column that is not read.
    """
    _check_columns(value or {}, source, {FIELD_KEYS[key]: name for key, name in names.items()})


def _check_columns(value: Mapping[str, Any], source: str, names: Mapping[str, str]) -> None:
    """Checks `load_col`; `names` are those of the files, by the columns of the package."""
    for file, columns in value.items():
        if file not in LOADED:
            raise UserError(f"{source}: load_col: no file '.{file}' is read; leave it out")
        known = {names.get(column, column) for column in LOADED[file]}
        for column in columns if isinstance(columns, list) and file != "item" else []:
            if column not in known:
                raise UserError(f"{source}: load_col: .{file} has no column '{column}'; leave it out")


def check_applied(values: Mapping[str, Any], defaults: Mapping[str, Any], model: str, source: str) -> None:
    """Checks one layer.

    Args:
        values: of keys that the model has.
        defaults: the model's keys with their defaults.
        model: its name.
        source: of the values, for messages.

    Raises:
        UserError: a key that has no effect here has another value than its default.
    """
    for key, value in values.items():
        if key in INSTEAD and value != defaults.get(key) and value not in (None, [], {}, *_HARMLESS.get(key, ())):
            raise UserError(f"{source}: {key}: found {shown(value)}, which is not applied here; {INSTEAD[key]}")
    transform = defaults.get("transform")
    if (given := values.get("transform", transform)) != transform:
        raise UserError(f"{source}: transform: {model} reads {transform or 'none'}, found {shown(given)}; leave it out")


def check_names(values: Mapping[str, Any], models: Collection[str], dataset: str, source: str) -> None:
    """Checks the keys `model` and `dataset` of one layer, which in RecBole choose what runs.

    Args:
        values: of the layer.
        models: of the run, and those that these train or read.
        dataset: of the run.
        source: of the values, for messages.

    Raises:
        UserError: the keys name others.
    """
    for key, names in (("model", list(models)), ("dataset", [dataset])):
        if key in values and values[key] not in names:
            raise UserError(f"{source}: {key}: found {shown(values[key])}, but --{key} is {names[0]}; leave it out")
