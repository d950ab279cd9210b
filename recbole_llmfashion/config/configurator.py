"""Layered YAML to a RecBole Config; what is missing or unknown is an error.

    RecBole's own YAMLs < overall.yaml < dataset/default.yaml < dataset/<name>.yaml < model/<name>.yaml
        < tuned/<dataset>/<model>.yaml, where `tuned` is true < --config_files < --key=value

A model that extends another one of ours has its YAML too, below its own; a YAML that would add nothing is not there.
Only the model, dataset and trainer classes see a config; everything below takes plain arguments. This module does not
know what any key means.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import recbole
import yaml
from recbole.config import Config
from recbole.utils import argument_list

from recbole_llmfashion import compat
from recbole_llmfashion.errors import UserError, did_you_mean

RECBOLE_PROPERTIES = Path(recbole.__file__).parent / "properties"
# Keys that RecBole reads from a config and that stand in none of its YAML files.
_RECBOLE_UNLISTED = {"config_file", "config_files", "model", "dataset", "reg_weight", "nproc", "rm_dup_inter"}


def properties_folder() -> Path:
    """The copy of `properties/` that the wheel carries, or that of the checkout."""
    carried = Path(__file__).parents[1] / "properties"
    return carried if carried.is_dir() else Path(__file__).parents[2] / "properties"


def tuned_file(dataset: str, model: str) -> Path | None:
    """The YAML that a search over this model on this dataset left in properties/tuned; None where there is none."""
    path = properties_folder() / "tuned" / dataset / f"{model}.yaml"
    return path if path.is_file() else None


class YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml, where PyYAML has it
    """YAML 1.1 reads 1e-5 as text; RecBole's users write it as a number."""


YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$|^[-+]?\d[\d_]*\.[\d_]*$|^[-+]?\.\d+$|^[-+]?\.(inf|nan)$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dict; an absent file, a broken one or one that is no mapping is a UserError."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=YamlLoader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; --config_files takes YAML files separated by spaces") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())}); mend it") from None
    if not isinstance(value, dict | None):
        raise UserError(f"{path}: expected `key: value` lines, found a {type(value).__name__}")
    return value or {}


@cache
def _keys_of(path: Path) -> frozenset[str]:
    return frozenset(read_yaml(path)) if path.is_file() else frozenset()


def recbole_keys(model: str) -> frozenset[str]:
    """Every key that RecBole itself knows for a model."""
    lists = (argument_list.general_arguments, argument_list.training_arguments, argument_list.evaluation_arguments)
    keys = {key for arguments in (*lists, argument_list.dataset_arguments) for key in arguments}
    for name in ("overall", "dataset/sample", f"model/{model}", "quick_start_config/sequential"):
        keys |= _keys_of(RECBOLE_PROPERTIES / f"{name}.yaml")
    return frozenset(keys | _RECBOLE_UNLISTED)


def lineage(model: str | type) -> list[str]:
    """Names whose files model/<name>.yaml hold for a model: its bases among the classes of this package, then its own.

    Args:
        model: a class, or the name of one that extends none of ours.
    """
    if isinstance(model, str):
        return [model]
    package = __name__.split(".")[0]
    bases = [base.__name__ for base in model.__mro__[1:] if base.__module__.split(".")[0] == package]
    return [*reversed(bases), model.__name__]


def own_keys(model: str | type) -> frozenset[str]:
    """Every key of properties/ that holds for a model, as `lineage` takes it."""
    root, models = properties_folder(), [f"model/{name}" for name in lineage(model)]
    return frozenset().union(*(_keys_of(root / f"{name}.yaml") for name in ("overall", "dataset/default", *models)))


def keys_of(model: str | type) -> frozenset[str]:
    """Every key that a model understands, RecBole's and ours, as `lineage` takes it."""
    return recbole_keys(lineage(model)[-1]) | own_keys(model)


def known_keys(models: Iterable[str]) -> frozenset[str]:
    """Every key that one of the models understands."""
    return frozenset().union(*map(keys_of, models))


def reject_unknown_keys(keys: Iterable[str], models: Iterable[str], source: str) -> None:
    """Raises UserError on the first key that no model of the registry understands, with the nearest that one does."""
    known = known_keys(models)
    for key in keys:
        if key not in known:
            hint = did_you_mean(key, sorted(known), "the keys stand in properties/", 0.6)
            raise UserError(f"{source}: unknown key '{key}'; {hint}")


def _check_types(defaults: Mapping[str, Any], values: Mapping[str, Any], source: str) -> None:
    """Numbers, truth values and lists of ours stay what their default is; texts may have other readings."""
    for key, value in values.items():
        kind = type(defaults.get(key))
        accepted = {bool: (bool,), int: (int,), float: (int, float), list: (list,)}.get(kind, (object,))
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind in (int, float)):
            raise UserError(f"{source}: {key} expects a value of type {kind.__name__}, found '{value}'")


class LLMFashionConfig(Config):
    """RecBole's Config without `eval`, without the command line, and with an error where a key of ours is missing."""

    def _convert_config_dict(self, config_dict: dict[str, Any]) -> dict[str, Any]:
        return config_dict  # RecBole evals each string here

    def __getitem__(self, item: str) -> Any:
        if item not in self.final_config_dict and item in self.final_config_dict.get("required_keys", ()):
            raise UserError(f"config: key '{item}' is missing; properties/ holds its default")
        return super().__getitem__(item)

    def sibling(self, model: str | type) -> "LLMFashionConfig":
        """The config that another model gets in the same run: same files, same command line."""
        return load_config(model, self["dataset"], self["config_layers"], self["command_line"], self["model_names"])


def load_config(
    model: str | type,
    dataset: str,
    config_files: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    model_names: Sequence[str] = (),
) -> LLMFashionConfig:
    """The config of one model on one dataset.

    Args:
        model: a class, or the name of one of RecBole's.
        dataset: name of the folder below data_path.
        config_files: YAML files over ours, later ones win.
        overrides: keys over those, from the command line.
        model_names: the models whose keys may stand in files and overrides; a key of another model is left aside.

    Raises:
        UserError: unknown key, unreadable file, a value that RecBole refuses.
    """
    *bases, name = lineage(model)
    models = {*bases, name, *model_names}
    parts = ["overall", "dataset/default", f"dataset/{dataset}", *(f"model/{one}" for one in (*bases, name))]
    merged: dict[str, Any] = {}
    for path in (properties_folder() / f"{part}.yaml" for part in parts):
        merged |= read_yaml(path) if path.is_file() else {}
    mine = keys_of(model)
    defaults = {key: value for key, value in merged.items() if key not in recbole_keys(name)}
    overrides = dict(overrides or {})
    given = [(file, read_yaml(Path(file))) for file in config_files] + [("command line", overrides)]
    for source, values in given:
        reject_unknown_keys(values, models, source)
        _check_types(defaults, values, source)
    tuned = tuned_file(dataset, name)
    if {key: value for _, values in given for key, value in values.items()}.get("tuned") and tuned is not None:
        given.insert(0, (str(tuned), read_yaml(tuned)))
    for _, values in given:
        merged |= {key: value for key, value in values.items() if key in mine}
    merged |= {
        "required_keys": sorted(own_keys(model)),
        "config_layers": list(config_files),
        "command_line": overrides,
        "model_names": sorted(models),
    }
    # Config() sets CUDA_VISIBLE_DEVICES to gpu_id: without this it would undo what the caller's environment says.
    if "CUDA_VISIBLE_DEVICES" in os.environ and "gpu_id" not in overrides:
        merged["gpu_id"] = os.environ["CUDA_VISIBLE_DEVICES"]
    try:
        with compat.command_line_hidden():
            return LLMFashionConfig(model=model, dataset=dataset, config_dict=merged)
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"config of {name}: {' '.join(str(error).split())}") from error


def given_keys(config: LLMFashionConfig) -> dict[str, Any]:
    """What the files and the command line of a run gave its model, later ones over earlier ones."""
    layers = [read_yaml(Path(file)) for file in config["config_layers"]] + [config["command_line"]]
    known = keys_of(config.model_class)
    return {key: value for layer in layers for key, value in layer.items() if key in known}


def check_valid_metric(config: LLMFashionConfig) -> None:
    """RecBole looks for valid_metric among what it computed after the first epoch, and finds a KeyError.

    Raises:
        UserError: metrics and topk do not give it.
    """
    computed = [f"{metric}@{k}" for metric in config["metrics"] for k in config["topk"]]
    wanted = str(config["valid_metric"])
    if wanted.lower() not in map(str.lower, computed):
        hint = did_you_mean(wanted, computed, "metrics and topk decide what is", 0.6)
        raise UserError(f"valid_metric: '{wanted}' is not computed; {hint}")
