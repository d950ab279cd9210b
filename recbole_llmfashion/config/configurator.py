"""Layered YAML files and the command line as a RecBole Config. Imports RecBole, which layers.py does not.

Only model, dataset and trainer classes take a config; everything below them takes plain arguments.
"""

import copy
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole.config import Config
from recbole.utils import InputType
from recbole.utils import get_model as recbole_model

from recbole_llmfashion import compat
from recbole_llmfashion.config.dict_keys import merge_keys, split_name
from recbole_llmfashion.config.keys import (
    EVALUATION_KEYS,
    keys_of,
    lineage,
    own_keys,
    recbole_defaults,
    recbole_file,
    worker_key,
)
from recbole_llmfashion.config.layers import COMMAND_LINE, merge_layers, own_file, with_own_file
from recbole_llmfashion.config.negatives import neg_sample_args
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError


class LLMFashionConfig(Config):
    """RecBole's Config that evaluates no text as Python, ignores sys.argv and raises UserError for a missing key."""

    def _convert_config_dict(self, config_dict: dict[str, Any]) -> dict[str, Any]:
        return config_dict  # RecBole calls eval() on each text here

    def _load_internal_config_dict(self, model: str, model_class: Any, dataset: str) -> None:
        # RecBole has keys of its own for a few names, such as ml-100k; every dataset gets those of properties/
        super()._load_internal_config_dict(model, model_class, "")

    def _update_internal_config_dict(self, file: str) -> dict[str, Any]:
        # a study makes hundreds of configs, and RecBole would parse its files again for each
        values = copy.deepcopy(recbole_file(Path(os.path.realpath(file))))
        self.internal_config_dict.update(values)
        return values

    def _set_default_parameters(self) -> None:
        root = self.final_config_dict["data_path"]
        super()._set_default_parameters()
        # RecBole takes the folder of its wheel for ml-100k, whatever the key says
        self.final_config_dict["data_path"] = os.path.join(root, self.dataset)

    def __getitem__(self, item: str) -> Any:
        key, field = split_name(item)
        if key not in self.final_config_dict and key in self.final_config_dict.get("required_keys", ()):
            raise UserError(f"config: key '{key}' is missing; properties/ holds its default")
        value = super().__getitem__(key)
        return value[field] if field else value

    def sibling(self, model: str | type) -> "LLMFashionConfig":
        """The config of another model in the same run: same files, same command line."""
        files, overrides, names = self["config_layers"], self["command_line"], self["model_names"]
        return load_config(model, self["dataset"], files, overrides, names, left_out=self["keys_left_out"])


def load_config(
    model: str | type,
    dataset: str,
    config_files: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    model_names: Sequence[str] = (),
    source_of_overrides: str = COMMAND_LINE,
    left_out: Collection[str] = (),
) -> LLMFashionConfig:
    """Builds the config of one model on one dataset from the layers that `merge_layers` lists.

    Args:
        model: a class, or the name of a model of RecBole.
        dataset: name of the folder below data_path.
        config_files: YAML files over those of properties/; later ones win.
        overrides: keys over those.
        model_names: other models whose keys may be given; they are ignored here.
        source_of_overrides: where they are from, as messages about them begin.
        left_out: keys of the layers that this model ignores, as in `merge_layers`.

    Raises:
        UserError: an unknown key, an unreadable file, a value that RecBole rejects.
    """
    *bases, name = lineage(model)
    overrides = dict(overrides or {})
    config_files = with_own_file(dataset, config_files, overrides)
    merged = merge_layers(model, dataset, config_files, overrides, model_names, source_of_overrides, left_out)
    defaults = recbole_defaults(name)
    merged |= {
        "train_neg_sample_args": neg_sample_args(
            name,
            _learns_from_negatives(model, {**defaults, **merged}.get("loss_type")),
            merged.get("train_neg_sample_args"),
            defaults["train_neg_sample_args"],
        ),
        "required_keys": sorted(own_keys(model)),
        "config_layers": config_files,
        "command_line": overrides,
        "model_names": sorted({*bases, name, *model_names}),
        "keys_left_out": sorted(left_out),
    }
    # Config() sets CUDA_VISIBLE_DEVICES to gpu_id: without this it would undo what the caller's environment says.
    if "CUDA_VISIBLE_DEVICES" in os.environ and "gpu_id" not in overrides:
        merged["gpu_id"] = os.environ["CUDA_VISIBLE_DEVICES"]
    try:
        with compat.command_line_hidden():
            return LLMFashionConfig(model=model, dataset=dataset, config_dict=merged)
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"config of {name}: {' '.join(str(error).split())}") from error


def _learns_from_negatives(model: str | type, loss_type: Any) -> bool:
    """Whether RecBole's loss of a model reads sampled items; SINE is pairwise, but its full softmax reads none."""
    model_class = recbole_model(model) if isinstance(model, str) else model
    pairwise = getattr(model_class, "input_type", None) == InputType.PAIRWISE
    return bool(loss_type == "BPR" or (pairwise and loss_type != "CE"))


def given_keys(config: LLMFashionConfig) -> dict[str, Any]:
    """The keys that the config files and the command line of a run set for its model; later ones win."""
    layers = [(file, read_yaml(Path(file))) for file in config["config_layers"]]
    merged = merge_keys([*layers, (COMMAND_LINE, config["command_line"])])
    known = keys_of(config.model_class) - set(config["keys_left_out"])
    return {key: value for key, value in merged.items() if key in known}


def learning_keys(config: LLMFashionConfig) -> dict[str, Any]:
    """The keys that can change what a RecBole model learns."""
    names, given = sorted(keys_of(config.model_class) - EVALUATION_KEYS), config.final_config_dict
    values = {key: given.get(key) for key in names} | worker_key(given)
    return {key: value for key, value in values.items() if isinstance(value, str | int | float | bool | list | dict)}


def source_config(config: LLMFashionConfig, keys: Mapping[str, Any] | None = None) -> LLMFashionConfig:
    """The config of the same model on `source_dataset`: same files, same command line, no source of its own.

    The dataset files and the tuned file of the source replace those of the target, which were chosen on rows that
    zero-shot does not have.

    Args:
        config: of the run on the target.
        keys: over the command line.

    Raises:
        UserError: the source is the target, or its folder does not exist.
    """
    source = str(config["source_dataset"])
    if source == config["dataset"]:
        raise UserError(f"source_dataset: '{source}' is the dataset itself; leave it empty, or name another")
    overrides = config["command_line"] | {"source_dataset": None} | dict(keys or {})
    files = [file for file in config["config_layers"] if file != own_file(Path(config["data_path"]))]
    names, left_out = config["model_names"], config["keys_left_out"]
    on_source = load_config(config.model_class, source, files, overrides, names, left_out=left_out)
    folder = Path(on_source["data_path"])
    if not folder.is_dir():
        raise UserError(
            f"source_dataset: {folder} is not there; make it with recbole-llmfashion simulate or convert, "
            f"--out {folder}, or name a folder beside the dataset's"
        )
    return on_source


def no_core() -> Any:
    """Replaces the function that trains CORE; zero-shot must not call it."""
    raise AssertionError("zero-shot does not use CORE's table")
