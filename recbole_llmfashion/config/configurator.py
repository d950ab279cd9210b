"""Layered YAML to a RecBole Config; what is missing or unknown is an error.

    RecBole's own YAMLs < overall.yaml < dataset/default.yaml < dataset/<name>.yaml < model/<name>.yaml
        < tuned/<dataset>/<model>.yaml, where `tuned` is true < --config_files < --key=value

A model that extends another one of ours has its YAML too, below its own; a YAML that would add nothing is not there.
Only the model, dataset and trainer classes see a config; everything below takes plain arguments. This module does not
know what any key means.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole.config import Config

from recbole_llmfashion import compat
from recbole_llmfashion.config.keys import (
    EVALUATION_KEYS,
    keys_of,
    lineage,
    own_keys,
    properties_folder,
    recbole_keys,
    reject_unknown_keys,
    todays_names,
)
from recbole_llmfashion.config.yaml_files import YamlLoader, read_yaml
from recbole_llmfashion.errors import UserError, did_you_mean


def tuned_file(dataset: str, model: str) -> Path | None:
    """The YAML that a search over this model on this dataset left in properties/tuned; None where there is none."""
    path = properties_folder() / "tuned" / dataset / f"{model}.yaml"
    return path if path.is_file() else None


YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$|^[-+]?\d[\d_]*\.[\d_]*$|^[-+]?\.\d+$|^[-+]?\.(inf|nan)$"),
    list("-+0123456789."),
)


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
    if {key: value for _, values in given for key, value in values.items()}.get("use_tuned") and tuned is not None:
        given.insert(0, (str(tuned), read_yaml(tuned)))
    for _, values in given:
        merged |= todays_names({key: value for key, value in values.items() if key in mine})
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


def learning_keys(config: LLMFashionConfig) -> dict[str, Any]:
    """The part of a config that what a RecBole model learns can depend on."""
    values = {key: config.final_config_dict.get(key) for key in sorted(keys_of(config.model_class) - EVALUATION_KEYS)}
    return {key: value for key, value in values.items() if isinstance(value, str | int | float | bool | list | dict)}


def source_config(config: LLMFashionConfig, keys: Mapping[str, Any] | None = None) -> LLMFashionConfig:
    """The config of the same model's run on `source_dataset`: same files, same command line, no source.

    The source's dataset file, and its tuned file where `tuned` is set, take the place of the target's, whose keys were
    chosen on rows that zero-shot does not have.

    Args:
        config: of the run on the target.
        keys: over the command line.

    Raises:
        UserError: the source is the target, or its folder is not there.
    """
    source = str(config["source_dataset"])
    if source == config["dataset"]:
        raise UserError(f"source_dataset: '{source}' is the dataset itself; leave it empty, or name another")
    overrides = config["command_line"] | {"source_dataset": None} | dict(keys or {})
    found = load_config(config.model_class, source, config["config_layers"], overrides, config["model_names"])
    folder = Path(found["data_path"])
    if not folder.is_dir():
        raise UserError(
            f"source_dataset: {folder} is not there; make it with recbole-llmfashion simulate or convert, "
            f"--out {folder}, or name a folder beside the dataset's"
        )
    return found


def no_core() -> Any:
    """Stands where CORE's table is handed over: zero-shot has none to ask for."""
    raise AssertionError("zero-shot asks for no table of CORE")
