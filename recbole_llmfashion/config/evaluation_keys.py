"""RecBole's keys of the evaluation: `metrics`, `topk`, `valid_metric` and `eval_args`.

Short forms are written out, a partial `eval_args` is filled up, and what a full ranking of one target per user cannot
give is an error before anything is read. Imports neither RecBole nor torch.
"""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from recbole_llmfashion.config.keys import recbole_folder
from recbole_llmfashion.errors import UserError, did_you_mean

# What `split: {LS: ..}` takes, and the parts that it leaves for validation and test.
VALID_AND_TEST, VALID_ONLY, TEST_ONLY = "valid_and_test", "valid_only", "test_only"
_LEAVE_OUT = (VALID_AND_TEST, VALID_ONLY, TEST_ONLY)
_WRITE = {
    "split": "split: {LS: valid_and_test}",
    "order": "order: TO",
    "group_by": "group_by: user",
    "mode": "mode: full",
}


TABLE_METRICS = ("Recall@10", "NDCG@10", "MRR@10")  # of every table of a study
_SMALLER_IS_BETTER = ("averagepopularity", "giniindex")


class HasKeys(Protocol):
    """A dict of keys, or RecBole's Config."""

    def __getitem__(self, item: str, /) -> Any:
        """The value of a key."""


def written_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of keys with RecBole's short forms as lists.

    >>> written_out({"metrics": "Recall", "topk": 5, "seed": 1})
    {'metrics': ['Recall'], 'topk': [5], 'seed': 1}
    """
    short = {"metrics": str, "topk": int}
    return {
        key: [value] if key in short and isinstance(value, short[key]) and not isinstance(value, bool) else value
        for key, value in values.items()
    }


def checked_evaluation(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """All keys of a model with a complete `eval_args`.

    Args:
        values: the merged layers, after check_values.
        defaults: those of properties/ alone.

    Raises:
        UserError: a metric or a part of `eval_args` that cannot be computed here.
    """
    _check_metrics(values["metrics"])
    _check_direction(values)
    eval_args = _complete(values["eval_args"], defaults["eval_args"])
    if values["split_by"] == "time" and leave_out(eval_args) != VALID_AND_TEST:
        raise UserError(f"eval_args: split_by: time has validation and test rows; write {_WRITE['split']}")
    return {**values, "eval_args": eval_args}


def leave_out(eval_args: Mapping[str, Any]) -> str:
    """What the split leaves out of training: valid_and_test, valid_only or test_only."""
    return str(eval_args["split"]["LS"])


def _check_direction(values: Mapping[str, Any]) -> None:
    """RecBole knows of each metric whether more is better, and so does not read `valid_metric_bigger`."""
    if "valid_metric_bigger" not in values:
        return
    bigger = str(values["valid_metric"]).partition("@")[0].lower() not in _SMALLER_IS_BETTER
    if values["valid_metric_bigger"] != bigger:
        raise UserError(f"valid_metric_bigger: of {values['valid_metric']} it is {bigger}; leave it out")


@cache
def recbole_metrics() -> Mapping[str, bool]:
    """Name of each metric of RecBole -> whether a ranking gives it, read from RecBole's file without importing it."""
    file = recbole_folder() / "evaluator/metrics.py"
    classes = [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    return {node.name: "LossMetric" not in [ast.unparse(base) for base in node.bases] for node in classes}


def _check_metrics(metrics: Sequence[str]) -> None:
    known = {name.lower(): name for name in recbole_metrics()}
    ranking = [name for name, from_ranks in recbole_metrics().items() if from_ranks]
    for metric in metrics:
        name = known.get(str(metric).lower())
        if name is None:
            hint = f"write [{metric}]" if "," in str(metric) else did_you_mean(str(metric), ranking)
            raise UserError(f"metrics: unknown metric '{metric}'; {hint}")
        if name not in ranking:
            raise UserError(
                f"metrics: {name} reads labels or ratings, and a ranking has none; choose from {', '.join(ranking)}"
            )


def _complete(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`eval_args` filled up from the defaults, as RecBole fills it up from its own."""
    for field in given:
        if field not in defaults:
            raise UserError(f"eval_args: unknown field '{field}'; {did_you_mean(str(field), defaults)}")
    eval_args = {**defaults, **given}
    _check_split(eval_args["split"])
    if eval_args["order"] != "TO":
        _refuse("order", eval_args["order"], "sequences are in the order of time")
    if eval_args["group_by"] != "user":
        _refuse("group_by", eval_args["group_by"], "each user's last purchase is the target")
    mode = eval_args["mode"]
    if isinstance(mode, Mapping) and mode and mode.keys() <= {"valid", "test"}:
        mode = "full" if set(map(str, mode.values())) == {"full"} else mode
    if mode != "full":
        _refuse("mode", mode, "a target is ranked among all items, never among sampled ones")
    return {**eval_args, "mode": "full"}


def _check_split(split: Any) -> None:
    kind = next(iter(split)) if isinstance(split, Mapping) and len(split) == 1 else None
    if kind in ("RS", "TS"):
        reason = "a user has one validation and one test row" if kind == "RS" else "a split by time is the key split_by"
        _refuse("split", kind, reason, f"{_WRITE['split']}, or set split_by: time with time_split")
    if kind != "LS" or split["LS"] not in _LEAVE_OUT:
        _refuse("split", split, f"LS takes {', '.join(_LEAVE_OUT)}")


def _refuse(field: str, found: Any, reason: str, write: str = "") -> None:
    raise UserError(f"eval_args: {field}: found {found}, but {reason}; write {write or _WRITE[field]}")


def computed_metrics(config: HasKeys) -> list[str]:
    """What `metrics` and `topk` compute, such as `NDCG@10`; GAUC has no cut-off."""
    return [
        name for metric in config["metrics"] for name in
        ([metric] if metric.lower() == "gauc" else [f"{metric}@{k}" for k in config["topk"]])
    ]  # fmt: skip


def check_table_metrics(config: HasKeys) -> None:
    """Checks that `metrics` and `topk` compute the metrics of a study's tables.

    Raises:
        UserError: they do not.
    """
    computed = [name.lower() for name in computed_metrics(config)]
    if missing := [name for name in TABLE_METRICS if name.lower() not in computed]:
        needed = ", ".join(TABLE_METRICS)
        raise UserError(f"metrics, topk: the tables of a study have {needed}, found no {missing[0]}; add it")


def check_valid_metric(config: HasKeys) -> None:
    """Checks that `metrics` and `topk` compute `valid_metric`; RecBole fails with a KeyError after the first epoch.

    Raises:
        UserError: they do not.
    """
    computed = computed_metrics(config)
    name = str(config["valid_metric"])
    if name.lower() not in map(str.lower, computed):
        hint = did_you_mean(name, computed, "metrics and topk decide what is", 0.6)
        raise UserError(f"valid_metric: '{name}' is not computed; {hint}")
