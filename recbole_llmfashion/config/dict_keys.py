"""Dict keys: one key per part of a model, whose value names fields of the part's dataclass.

    title_model: {epochs: 2}      sets one field; the others keep the dataclass's defaults
    title_model.epochs: 2         the same, in a YAML file, a search space or on the command line

A later layer replaces only the fields that it names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from typing import Any, Literal, get_args, get_origin, get_type_hints

from recbole_llmfashion.config.allowed import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    DECAY,
    EVEN,
    NOT_NEGATIVE,
    RATE,
    SHARE,
    Allowed,
    choice,
    shown,
)
from recbole_llmfashion.errors import UserError, did_you_mean

CHOICE = choice()  # the values are those of the field's Literal


@dataclass(frozen=True)
class DictKey:
    """A dict key of properties/.

    Args:
        module, name: the dataclass that holds the defaults, by place within the package: it is imported when it is
            needed, since folders may not import those above them.
        fields: the fields that can be set, and their ranges.
    """

    module: str
    name: str
    fields: Mapping[str, Allowed]

    @property
    def settings(self) -> type:
        """The dataclass."""
        cls: type = getattr(import_module(f"{__name__.split('.')[0]}.{self.module}"), self.name)
        return cls


DICT_KEYS: dict[str, DictKey] = {
    "clip": DictKey(
        "embedding.settings",
        "ClipSettings",
        {
            "width": EVEN,
            "layers": AT_LEAST_ONE,
            "epochs": AT_LEAST_ZERO,
            "batch_size": AT_LEAST_ONE,
            "learning_rate": RATE,
        },
    ),
    "title_model": DictKey(
        "embedding.settings",
        "TitleSettings",
        {
            "width": AT_LEAST_ONE,
            "hidden": AT_LEAST_ONE,
            "epochs": AT_LEAST_ZERO,
            "batch_size": AT_LEAST_ONE,
            "learning_rate": RATE,
            "margin": ABOVE_ZERO,
            "max_length": AT_LEAST_ONE,
            "mined": AT_LEAST_ONE,
            "mining_start_epoch": AT_LEAST_ZERO,
        },
    ),
    "recformer": DictKey(
        "model.recformer.settings",
        "RecformerSettings",
        {
            "attribute_tokens": AT_LEAST_ONE,
            "type_init": CHOICE,
            "attention_window": EVEN,
            "compute_dtype": CHOICE,
            "vocab_size": AT_LEAST_ONE,
            "width": AT_LEAST_ONE,
            "layers": AT_LEAST_ONE,
            "heads": AT_LEAST_ONE,
            "pretrain_batch_size": AT_LEAST_ONE,
            "pretrain_learning_rate": RATE,
            "mlm_weight": NOT_NEGATIVE,
            "mask_share": SHARE,
            "freeze_words": CHOICE,
            "stage1_patience": AT_LEAST_ONE,
            "stage2_patience": AT_LEAST_ONE,
            "eval_every": AT_LEAST_ONE,
            "gradient_accumulation": AT_LEAST_ONE,
            "warmup_steps": AT_LEAST_ZERO,
            "weight_decay": DECAY,
            "temperature": ABOVE_ZERO,
            "encode_tokens": AT_LEAST_ONE,
        },
    ),
}


@cache
def _types(key: str) -> dict[str, Any]:
    return get_type_hints(DICT_KEYS[key].settings)


def defaults(key: str) -> dict[str, Any]:
    """The default of every field of a dict key.

    >>> defaults("clip")["epochs"]
    3
    """
    own = DICT_KEYS[key]
    return {field.name: field.default for field in fields(own.settings) if field.name in own.fields}


def split_name(name: str) -> tuple[str, str]:
    """Key and field of a dotted name; the field of any other name is empty.

    >>> split_name("title_model.epochs"), split_name("epochs")
    (('title_model', 'epochs'), ('epochs', ''))
    """
    key, _, field = name.partition(".")
    return (key, field) if key in DICT_KEYS else (name, "")


def check_field_name(source: str, key: str, field: str) -> None:
    """Raises UserError if a dict key has no such field."""
    known = DICT_KEYS[key].fields
    if field not in known:
        raise UserError(f"{source}: {key}: unknown field '{field}'; {did_you_mean(str(field), known)}")


def check_field(source: str, key: str, field: str, value: Any) -> None:
    """Raises UserError if a dict key has no such field, or the field no such value."""
    check_field_name(source, key, field)
    allowed = allowed_field(key, field)
    if not allowed.holds(value):
        raise UserError(f"{source}: {key}.{field}: expected {allowed.words}, found {shown(value)}")


def allowed_field(key: str, field: str) -> Allowed:
    """The values of a field of a dict key."""
    kind = _types(key)[field]
    return choice(*get_args(kind)) if get_origin(kind) is Literal else DICT_KEYS[key].fields[field]


def nested(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Keys of one layer with dotted names as dicts, every field checked.

    >>> nested({"title_model.epochs": 2, "epochs": 1}, "command line")
    {'title_model': {'epochs': 2}, 'epochs': 1}

    Raises:
        UserError: an unknown field, a value that a field cannot have, a field twice.
    """
    whole: dict[str, Any] = {}
    for name, value in values.items():
        key, field = split_name(name)
        if key not in DICT_KEYS:
            whole[key] = value
            continue
        if not field and not isinstance(value, dict):
            example = next(iter(defaults(key).items()))
            raise UserError(f"{source}: {key}: expected a dict such as {{{example[0]}: {example[1]}}}, found '{value}'")
        for one, given in {field: value}.items() if field else value.items():
            check_field(source, key, one, given)
            if one in whole.setdefault(key, {}):
                raise UserError(f"{source}: {key}.{one} is given twice; leave one out")
            whole[key][one] = given
        whole.setdefault(key, {})
    return whole


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys with every field of a dict key under its dotted name.

    >>> flat({"title_model": {"epochs": 2}, "epochs": 1})
    {'title_model.epochs': 2, 'epochs': 1}
    """
    whole: dict[str, Any] = {}
    for key, value in values.items():
        if key in DICT_KEYS and isinstance(value, Mapping):
            whole |= {f"{key}.{field}": given for field, given in value.items()}
        else:
            whole[key] = value
    return whole


def merge_keys(layers: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Layers of keys as one, later ones over earlier ones; dict keys are merged by field.

    Args:
        layers: (source for error messages, keys).

    >>> merge_keys([("a.yaml", {"clip": {"epochs": 1, "width": 32}}), ("b.yaml", {"clip.epochs": 2})])
    {'clip': {'epochs': 2, 'width': 32}}

    Raises:
        UserError: as `nested`.
    """
    merged: dict[str, Any] = {}
    for source, values in layers:
        for key, value in nested(values, source).items():
            merged[key] = merged.get(key, {}) | value if key in DICT_KEYS else value
    return merged


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys with every field of their dict keys."""
    return {key: defaults(key) | value if key in DICT_KEYS else value for key, value in values.items()}
