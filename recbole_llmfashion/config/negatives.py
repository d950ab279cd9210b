"""RecBole's key `train_neg_sample_args`: the negatives of models that learn from them. Does not import RecBole."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from recbole_llmfashion.errors import UserError, did_you_mean

_KEY = "train_neg_sample_args"
DISTRIBUTIONS = ("uniform", "popularity")


def neg_sample_args(
    model: str, learns_from_negatives: bool, given: Any, defaults: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The value for RecBole: None for a model without negatives, all fields otherwise.

    Args:
        model: name of the model.
        learns_from_negatives: whether the model's loss compares the target with sampled items.
        given: value of the key; None means what the model needs.
        defaults: RecBole's default for every field.

    Raises:
        UserError: the model has no negatives, or needs some, or a field is wrong.

    >>> neg_sample_args("FPMC", True, {"sample_num": 2}, {"distribution": "uniform", "sample_num": 1})
    {'distribution': 'uniform', 'sample_num': 2}
    """
    if not learns_from_negatives:
        if given is not None:
            raise UserError(f"{_KEY}: {model} learns without sampled negatives; leave it out, or set loss_type: BPR")
        return None
    if given is None:
        return dict(defaults)
    if not isinstance(given, Mapping):
        raise UserError(f"{_KEY}: expected a dict such as {{sample_num: 1}}, found '{given}'")
    for field in given:
        if field not in defaults:
            raise UserError(f"{_KEY}: unknown field '{field}'; {did_you_mean(str(field), defaults)}")
    args = {**defaults, **given}
    _check(model, args)
    return args


def _check(model: str, args: Mapping[str, Any]) -> None:
    if args["distribution"] not in DISTRIBUTIONS:
        raise UserError(
            f"{_KEY}: distribution: {model} learns from negatives; expected {' or '.join(DISTRIBUTIONS)}, "
            f"found '{args['distribution']}'"
        )
    if not isinstance(dynamic := args.get("dynamic", False), bool):
        raise UserError(f"{_KEY}: dynamic: expected True or False, found '{dynamic}'")
    least = {"sample_num": 1, "candidate_num": int(dynamic)}
    for field, at_least in least.items():
        value = args.get(field, at_least)
        if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
            raise UserError(f"{_KEY}: {field}: expected a whole number of {at_least} or more, found '{value}'")
    alpha = args.get("alpha", 1.0)
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not isfinite(alpha):
        raise UserError(f"{_KEY}: alpha: expected a number, found '{alpha}'")
