"""The keys of a model, RecBole's and ours; an unknown key is an error. Does not import RecBole."""

import ast
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.dict_keys import check_field_name, flat, merge_keys, split_name
from recbole_llmfashion.config.row_keys import LAUNCHER
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError, did_you_mean

Model = str | type | Sequence[str]  # a class, a name, or the names of a lineage

# Keys of TensorBoard and Weights & Biases.
TRACKING_KEYS = {"log_tensorboard", "log_wandb", "wandb_project"}
# Keys for folders, devices, workers and output. They are in no name of a stage or a row, so a finished one is found
# whatever they are, but for `worker`: above 0 the processes of RecBole's loaders draw negatives and masks of their own
# (`worker_key`). With several `num_train_workers` the LLM has other masks of dropout. Its adapter is used again by a
# run with another number all the same, for a change of machine must not cost a training of days.
RUNTIME_KEYS = TRACKING_KEYS | {
    "data_path", "checkpoint_dir", "show_progress", "state", "gpu_id", "use_gpu", "worker", "config_file",
    "num_train_workers", "ray_address", "n_jobs",
}  # fmt: skip
# Keys that name a model of a hub, a folder or a file, and keys that name places of this machine alone.
MODEL_KEYS = {"llm_name_or_path", "recformer_name_or_path", "clip_pretrained", "memory_encoder", "text_encoder"}
MACHINE_KEYS = {"data_path", "vllm_python"}
# Keys that are no inputs of a trained RecBole model: those of the evaluation, and those that choose rows, for the rows
# themselves are inputs. cold_token and mask_history (which changes the validation scores, and so the early
# stopping) are separate inputs when they are True, so that the names of stages without them do not change; so is
# length_groups for the models that it changes. The vectors of text_encoder are an input of their own.
EVALUATION_KEYS = RUNTIME_KEYS | {
    "eval_batch_size", "eval_memory_mb", "config_files", "dataset", "metrics",
    "search_attribution_hours", "use_tuned", "split_by", "time_split", "train_share", "cold_token", "mask_history",
    "text_encoder", "length_groups",
}  # fmt: skip

# Keys that RecBole reads from a config and that none of its YAML files has.
_RECBOLE_UNLISTED = {
    "config_file", "config_files", "model", "dataset", "nproc", "rm_dup_inter", "tail_ratio",
}  # fmt: skip
_UNLISTED_OF = {"HRM": {"reg_weight"}}


def worker_key(values: Mapping[str, Any]) -> dict[str, Any]:
    """The key `worker` where it is above 0, an input of what RecBole trains.

    >>> worker_key({"worker": 2, "seed": 1}), worker_key({"worker": 0, "seed": 1})
    ({'worker': 2}, {})
    """
    return {"worker": values["worker"]} if values.get("worker") else {}


@cache
def properties_folder() -> Path:
    """The folder `properties/` of the installed wheel, or that of the checkout."""
    installed = Path(__file__).parents[1] / "properties"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "properties"


@cache
def _keys_of(path: Path) -> frozenset[str]:
    return frozenset(split_name(key)[0] for key in read_yaml(path)) if path.is_file() else frozenset()


@cache
def recbole_folder() -> Path:
    """The folder of the installed RecBole, found without importing it.

    Raises:
        UserError: RecBole is not installed.
    """
    spec = importlib.util.find_spec("recbole")
    if spec is None or spec.origin is None:
        raise UserError("recbole: expected version 1.2.1, found none; install recbole==1.2.1")
    return Path(spec.origin).parent


@cache
def _recbole_arguments() -> frozenset[str]:
    """Names in the four lists of RecBole's argument_list.py."""
    nodes = ast.parse((recbole_folder() / "utils/argument_list.py").read_text(encoding="utf-8")).body
    lists = [ast.literal_eval(node.value) for node in nodes if isinstance(node, ast.Assign)]
    return frozenset().union(*lists)


def _recbole_files(model: str) -> list[Path]:
    names = ("overall", "dataset/sample", f"model/{model}", "quick_start_config/sequential")
    return [recbole_folder() / "properties" / f"{name}.yaml" for name in names]


@cache
def recbole_file(path: Path) -> dict[str, Any]:
    """The values of one of RecBole's own YAML files, which do not change; not to be changed."""
    return read_yaml(path)


@cache
def recbole_defaults(model: str) -> dict[str, Any]:
    """The values of RecBole's own YAML files for a model; not to be changed."""
    return {key: value for path in _recbole_files(model) if path.is_file() for key, value in recbole_file(path).items()}


@cache
def recbole_keys(model: str) -> frozenset[str]:
    """Every key that RecBole itself reads for a model."""
    return frozenset().union(
        _recbole_arguments(), _RECBOLE_UNLISTED, _UNLISTED_OF.get(model, ()), recbole_defaults(model)
    )


def lineage(model: Model) -> list[str]:
    """Names whose files model/<name>.yaml hold for a model: the models of this package that it extends, then its own.

    Args:
        model: a class; the name of a model that extends none of this package; or such a list of names, which is
            returned as it is.
    """
    if isinstance(model, str):
        return [model]
    if not isinstance(model, type):
        return list(model)
    package = __name__.split(".")[0]
    bases = [base.__name__ for base in model.__mro__[1:] if base.__module__.split(".")[0] == package]
    return [*reversed(bases), model.__name__]


def own_keys(model: Model) -> frozenset[str]:
    """Every key of properties/ that holds for a model."""
    return _own_keys(properties_folder(), tuple(lineage(model)))


@cache
def _own_keys(root: Path, models: tuple[str, ...]) -> frozenset[str]:
    names = ("overall", "dataset/default", *(f"model/{name}" for name in models))
    return frozenset().union(*(_keys_of(root / f"{name}.yaml") for name in names))


@cache
def _models_with(root: Path, key: str) -> tuple[str, ...]:
    """The models whose file in properties/model has a key; files of another form of a model are none of them."""
    files = sorted(path for path in (root / "model").glob("*.yaml") if "-" not in path.stem)
    return tuple(path.stem for path in files if key in _keys_of(path))


def keys_of(model: Model) -> frozenset[str]:
    """Every key that a model understands, RecBole's and ours."""
    return recbole_keys(lineage(model)[-1]) | own_keys(model)


def known_keys(models: Iterable[str]) -> frozenset[str]:
    """Every key that one of the models understands."""
    return frozenset().union(*map(keys_of, models))


# Keys that had another name in the first release: today's name, dotted for a field of a dict key, and the values that
# changed with it.
RENAMED_KEYS: dict[str, tuple[str, dict[Any, Any]]] = {
    "attribution_hours": ("search_attribution_hours", {}),
    "beams": ("num_beams", {}),
    "checkpoint_steps": ("save_steps", {}),
    "clip_batch_size": ("clip.batch_size", {}),
    "clip_epochs": ("clip.epochs", {}),
    "clip_layers": ("clip.layers", {}),
    "clip_learning_rate": ("clip.learning_rate", {}),
    "clip_width": ("clip.width", {}),
    "fallback": ("empty_response_fallback", {}),
    "gradient_accumulation": ("gradient_accumulation_steps", {}),
    "hard_choice": ("curriculum_choice", {}),
    "hard_epochs": ("curriculum_epochs", {}),
    "hard_share": ("curriculum_share", {}),
    "index": ("ann_index", {}),
    "item_index": ("item_tokens", {}),
    "llm_batch_targets": ("max_targets_per_batch", {}),
    "llm_name_or_path": (
        "llm_name_or_path",
        {"embedded": "tiny-falcon", "embedded-untrained": "tiny-falcon-untrained"},
    ),
    "llm_row_rate": ("item_embedding_lr", {}),
    "memory_depth": ("memory_list_size", {}),
    "prompt_item": ("prompt_item_text", {"id": False, "text": True}),
    "prompt_targets": ("loss_on_history", {}),
    "recformer_attention_window": ("recformer.attention_window", {}),
    "recformer_attribute_tokens": ("recformer.attribute_tokens", {}),
    "recformer_compute_dtype": ("recformer.compute_dtype", {}),
    "recformer_encode_tokens": ("recformer.encode_tokens", {}),
    "recformer_eval_every": ("recformer.eval_every", {}),
    "recformer_freeze_words": ("recformer.freeze_words", {}),
    "recformer_gradient_accumulation": ("recformer.gradient_accumulation", {}),
    "recformer_heads": ("recformer.heads", {}),
    "recformer_layers": ("recformer.layers", {}),
    "recformer_mask_share": ("recformer.mask_share", {}),
    "recformer_mlm_weight": ("recformer.mlm_weight", {}),
    "recformer_pretrain_batch_size": ("recformer.pretrain_batch_size", {}),
    "recformer_pretrain_learning_rate": ("recformer.pretrain_learning_rate", {}),
    "recformer_stage1_patience": ("recformer.stage1_patience", {}),
    "recformer_stage2_patience": ("recformer.stage2_patience", {}),
    "recformer_temperature": ("recformer.temperature", {}),
    "recformer_type_init": ("recformer.type_init", {}),
    "recformer_vocab_size": ("recformer.vocab_size", {}),
    "recformer_warmup_steps": ("recformer.warmup_steps", {}),
    "recformer_weight_decay": ("recformer.weight_decay", {}),
    "recformer_width": ("recformer.width", {}),
    "report_users": ("tune_report_users", {}),
    "target_log": ("zero_shot_target_log", {}),
    "targets_per_user": ("prompts_per_user", {}),
    "template": ("prompt_template", {}),
    "title_batch_size": ("title_model.batch_size", {}),
    "title_embedding_size": ("title_model.width", {}),
    "title_epochs": ("title_model.epochs", {}),
    "title_hidden_size": ("title_model.hidden", {}),
    "title_learning_rate": ("title_model.learning_rate", {}),
    "title_margin": ("title_model.margin", {}),
    "title_source": ("response_title", {"lookup": "catalogue", "generate": "generated"}),
    "tuned": ("use_tuned", {}),
}


def first_release_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys and values as the first release wrote them, which the names of stages are made of.

    >>> first_release_names({"num_beams": 20, "response_title": "catalogue", "title_model": {"epochs": 8}})
    {'beams': 20, 'title_source': 'lookup', 'title_epochs': 8}
    """
    first = {new: (old, {now: then for then, now in words.items()}) for old, (new, words) in RENAMED_KEYS.items()}
    return _renamed(flat(values), first)


def without_folders(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys without the folders of this machine: a key that names a model's folder or file keeps its last part.

    >>> without_folders({"llm_name_or_path": "/models/falcon/", "clip_pretrained": "openai", "seed": 1})
    {'llm_name_or_path': 'falcon', 'clip_pretrained': 'openai', 'seed': 1}
    """
    named = {key: str(values[key]) for key in MODEL_KEYS & values.keys()}
    cut = {key: Path(name).name for key, name in named.items() if Path(name).is_absolute() or Path(name).exists()}
    return {key: cut.get(key) or value for key, value in values.items() if key not in MACHINE_KEYS}


def todays_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a run folder or a file of the first release by their names of today; others stay.

    >>> todays_names({"beams": 20, "title_epochs": 8, "seed": 1})
    {'num_beams': 20, 'title_model': {'epochs': 8}, 'seed': 1}

    Raises:
        UserError: a field of a dict key that does not exist, or twice.
    """
    return merge_keys([("keys", _renamed(values, RENAMED_KEYS))])


def todays_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same keys, with values of the first release that are still accepted replaced by their words of today.

    >>> todays_values({"llm_name_or_path": "embedded", "seed": 1})
    {'llm_name_or_path': 'tiny-falcon', 'seed': 1}
    """
    aliases = {key: words for key, (new, words) in RENAMED_KEYS.items() if key == new}
    aliased = {key for key in aliases.keys() & values.keys() if isinstance(values[key], str)}
    return {key: aliases[key].get(value, value) if key in aliased else value for key, value in values.items()}


def _renamed(values: Mapping[str, Any], names: Mapping[str, tuple[str, dict[Any, Any]]]) -> dict[str, Any]:
    named = {key: names.get(key, (key, {})) for key in values}
    return {new: words.get(values[key], values[key]) if words else values[key] for key, (new, words) in named.items()}


def reject_unknown_keys(keys: Iterable[str], models: Iterable[str], source: str) -> None:
    """Raises UserError on the first key that no model of the registry has, with the nearest one that exists."""
    known = known_keys(models)
    for name in keys:
        key, field = split_name(name)
        if key not in known and RENAMED_KEYS.get(key, (key,))[0] != key:  # one key keeps its name, its values changed
            raise UserError(f"{source}: `{key}` is now `{_as_written(RENAMED_KEYS[key][0])}`; see docs/config.md")
        if key not in known and key in LAUNCHER:
            raise UserError(f"{source}: {key}: an option of RecBole's launcher, not applied here; {LAUNCHER[key]}")
        if key not in known and (owners := _models_with(properties_folder(), key)):
            raise UserError(
                f"{source}: {key}: a key of {' and '.join(owners)}, not of a model of this command; "
                "leave it out or add the model"
            )
        if key not in known:
            hint = did_you_mean(key, sorted(known), "docs/config.md lists the keys", 0.6)
            raise UserError(f"{source}: unknown key '{key}'; {hint}")
        if field:
            check_field_name(source, key, field)


def _as_written(name: str) -> str:
    key, field = split_name(name)
    return f"{key}: {{{field}: ..}}" if field else name
