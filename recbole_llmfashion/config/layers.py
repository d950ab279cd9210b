"""The layers of a config as one checked dict. Imports neither RecBole nor torch, so mistakes are reported at once.

    RecBole's own YAMLs < overall.yaml < dataset/default.yaml < dataset/<name>.yaml < model/<name>.yaml
        < tuned/<dataset>/<model>.yaml, where `use_tuned` is true < <data_path>/<dataset>/<dataset>.yaml
        < --config_files < --key=value

The dict keys `clip`, `title_model` and `recformer` are merged by field (dict_keys.py). A partial `eval_args` is filled
up from the default (evaluation_keys.py). Every other value is replaced. A model that extends another model of this
package also gets the YAML and the tuned file of that model, below its own. Files that do not exist are skipped.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_llmfashion.config import keys
from recbole_llmfashion.config.dict_keys import DICT_KEYS, merge_keys, nested, split_name, with_defaults
from recbole_llmfashion.config.evaluation_keys import checked_evaluation, written_out
from recbole_llmfashion.config.relations import check_relations
from recbole_llmfashion.config.row_keys import check_applied, check_load_col, check_names, field_keys
from recbole_llmfashion.config.values import check_tracking_packages, check_values
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError

KEYS_OF_TRAINING = ("cold_token", "train_neg_sample_args", "transform")  # mean models that train, not Popularity
COMMAND_LINE = "command line"  # where messages about keys begin that no file has


def tuned_file(dataset: str, model: str) -> Path | None:
    """The best values that a search found for this model on this dataset; None if there was no search."""
    path = keys.properties_folder() / "tuned" / dataset / f"{model}.yaml"
    return path if path.is_file() else None


def merge_layers(
    model: keys.Model,
    dataset: str,
    config_files: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    model_names: Sequence[str] = (),
    source_of_overrides: str = COMMAND_LINE,
    left_out: Collection[str] = (),
) -> dict[str, Any]:
    """All keys of one model on one dataset, without those that only RecBole's own YAMLs set.

    Args:
        model: a class, a name, or the names of a lineage.
        dataset: name of the dataset.
        config_files: YAML files over those of properties/; later ones win.
        overrides: keys over those.
        model_names: other models whose keys may be given; keys of theirs are accepted and not returned.
        source_of_overrides: where they are from, as messages about them begin.
        left_out: keys that mean other models of the run; this one keeps its defaults, whatever a layer says of them.

    Raises:
        UserError: an unknown key, an unreadable file, a value that the model cannot use.

    >>> merge_layers("CORE", "footwear", overrides={"epochs": 3})["epochs"]
    3
    """
    *bases, name = keys.lineage(model)
    parts = ["overall", "dataset/default", f"dataset/{dataset}", *(f"model/{one}" for one in (*bases, name))]
    paths = [path for path in (keys.properties_folder() / f"{part}.yaml" for part in parts) if path.is_file()]
    of_dataset = keys.properties_folder() / f"dataset/{dataset}.yaml"
    layers = [(str(path), _without(left_out if path == of_dataset else (), read_yaml(path))) for path in paths]
    about = [layer for layer in layers if layer[0] == str(of_dataset)]
    mine = keys.keys_of(model)
    defaults = keys.recbole_defaults(name) | merge_keys(layer for layer in layers if layer not in about)
    files = with_own_file(dataset, config_files, overrides)
    read = [*((file, read_yaml(Path(file))) for file in files), (source_of_overrides, overrides or {})]
    given = [(source, written_out(_without(left_out, values))) for source, values in read]
    for source, values in given:
        keys.reject_unknown_keys(values, {*bases, name, *model_names}, source)
        check_names(values, [*dict.fromkeys((name, *bases, *model_names))], dataset, source)
        _check_other_models(nested(values, source), mine, model_names, source)
    if {key: value for _, values in given for key, value in values.items()}.get("use_tuned"):
        tuned = [file for one in (*bases, name) if (file := tuned_file(dataset, one)) is not None]
        given[:0] = [(str(file), keys.todays_names(read_yaml(file))) for file in tuned]
    own = [(source, {key: v for key, v in values.items() if split_name(key)[0] in mine}) for source, values in given]
    names = field_keys((*about, *own), defaults)
    for source, values in (*about, *own):
        known = {key: value for key, value in nested(values, source).items() if key not in DICT_KEYS}
        check_values(known, defaults, name, source)
        check_tracking_packages(known, source)
        check_applied(known, defaults, name, source)
        check_load_col(known.get("load_col"), source, names)
    merged = checked_evaluation(keys.todays_values(with_defaults(merge_keys([*layers, *own]))), defaults)
    check_relations(keys.recbole_defaults(name) | merged, name)
    return merged


def _without(names: Collection[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in names}


def own_file(folder: Path) -> str | None:
    """The YAML file of keys beside the files of a dataset, `<folder>/<name>.yaml`; None if there is none."""
    path = folder / f"{folder.name}.yaml"
    return str(path) if path.is_file() else None


def with_own_file(
    dataset: str, config_files: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> list[str]:
    """The config files of a run on a dataset: the one beside its files, then those given.

    Args:
        dataset: name of the folder below data_path.
        config_files: the files given, where the first may be that file already.
        overrides: keys over those.

    Raises:
        UserError: the file beside the data says where the data is.
    """
    layers = [*map(read_yaml, (keys.properties_folder() / "overall.yaml", *map(Path, config_files))), overrides or {}]
    root = next((layer["data_path"] for layer in reversed(layers) if "data_path" in layer), None)
    found = own_file(Path(root) / dataset) if isinstance(root, str) and dataset else None
    if found is None or found in config_files:
        return list(config_files)
    if "data_path" in read_yaml(Path(found)):
        raise UserError(f"{found}: data_path: the file was found in that folder; leave it out")
    return [found, *config_files]


def dataset_field_keys(
    folder: Path, config_files: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """The names of a dataset's columns for users, items and times, by key, as a run on the dataset finds them.

    Args:
        folder: of the dataset, which has its name.
        config_files: YAML files; other keys of theirs are left to the run.
        overrides: keys over those.

    Raises:
        UserError: an unreadable file, or a name that cannot be a column's.
    """
    folder = folder.resolve()
    paths = (keys.properties_folder() / f"dataset/{folder.name}.yaml", folder / f"{folder.name}.yaml")
    files = [str(path) for path in paths if path.is_file()]
    layers = [(file, read_yaml(Path(file))) for file in (*files, *config_files)]
    return field_keys([*layers, (COMMAND_LINE, dict(overrides or {}))], keys.recbole_defaults(""))


def _check_other_models(values: Mapping[str, Any], mine: Collection[str], models: Iterable[str], source: str) -> None:
    """Checks the keys of a layer that another model of the run has, and this one has not."""
    for other in models:
        other_keys = keys.keys_of(other)
        theirs = {key: v for key, v in values.items() if key in other_keys and key not in mine and key not in DICT_KEYS}
        check_values(theirs, keys.recbole_defaults(other), other, source)
