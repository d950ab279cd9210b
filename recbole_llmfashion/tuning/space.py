"""The search space: keys and their values, from a YAML file or a RecBole `.test` file.

    mixup_m: {choice: [1, 2, 3]}
    title_model.learning_rate: {loguniform: [1e-4, 1e-2]}    # bounds, not their logarithms
    title_model.epochs: {quniform: [4, 24, 4]}               # low, high, step
    title_model.margin: {uniform: [0.1, 0.4]}

In a `.test` file the bounds of loguniform are natural logarithms, as in RecBole (`learning_rate loguniform -7,0`).
"""

import ast
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.config.dict_keys import DICT_KEYS, check_field, split_name
from recbole_llmfashion.config.evaluation_keys import HasKeys
from recbole_llmfashion.config.keys import TRACKING_KEYS, Model, lineage, reject_unknown_keys
from recbole_llmfashion.config.values import check_values
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError, did_you_mean

KINDS = {"choice": "a list", "uniform": "low, high", "loguniform": "low, high", "quniform": "low, high, step"}
# Keys that must be equal in all trials: the trials could not be compared otherwise, or would not be one process each.
FIXED = {
    "data_path", "checkpoint_dir", "dataset", "model", "metrics", "topk", "valid_metric", "eval_args", "click_filter",
    "config_files", "use_tuned", "show_progress", "state", "tune_report_users", "repeatable", "metric_decimal_place",
    "seed", "split_by", "time_split", "mask_history", "rm_dup_inter", "val_interval", "user_inter_num_interval",
    "item_inter_num_interval", "source_dataset", "USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD",
    "num_train_workers", "n_jobs", *TRACKING_KEYS,
}  # fmt: skip


@dataclass(frozen=True)
class Domain:
    """The values of one key.

    Args:
        kind: one of KINDS.
        values: the values of a choice.
        low: inclusive lower bound of the other kinds, not its logarithm.
        high: inclusive upper bound.
        step: step of quniform.
        integer: whether the key is an integer.

    Example:
        >>> Domain("quniform", low=4, high=12, step=4, integer=True).grid()
        [4, 8, 12]
        >>> Domain("uniform", low=0.0, high=1.0).contains(0.5)
        True
    """

    kind: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    integer: bool = False

    def grid(self) -> list[Any]:
        """All values in order; empty for a continuous domain."""
        if self.kind == "choice":
            return list(self.values)
        if self.kind != "quniform":
            return []
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return [self.cast(self.low + i * self.step) for i in range(count)]

    def cast(self, value: Any) -> Any:
        """Converts a drawn value to the type of the key."""
        if self.kind == "choice":
            return value
        return round(value) if self.integer else float(f"{value:.12g}")

    def contains(self, value: Any) -> bool:
        """Whether the value belongs to the domain."""
        if self.grid():
            return any(value == point and isinstance(value, bool) == isinstance(point, bool) for point in self.grid())
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def sample(self, rng: np.random.Generator) -> Any:
        """Draws one value."""
        if self.grid():
            return self.grid()[rng.integers(len(self.grid()))]
        if self.kind == "loguniform":
            return self.cast(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return self.cast(rng.uniform(self.low, self.high))

    def to_json(self) -> dict[str, Any]:
        """The domain as in the YAML file, for search.json."""
        bounds = [self.low, self.high, *([self.step] if self.kind == "quniform" else [])]
        return {self.kind: list(self.values) if self.kind == "choice" else bounds}


@dataclass(frozen=True)
class Space:
    """Keys and their domains, in the order of the file."""

    domains: Mapping[str, Domain] = field(default_factory=dict)

    def sample(self, seed: int, number: int) -> dict[str, Any]:
        """The values of random trial `number`; they depend only on the seed and the number."""
        rng = np.random.default_rng([seed, number])
        return {key: domain.sample(rng) for key, domain in self.domains.items()}

    def grid(self) -> list[dict[str, Any]]:
        """All combinations of values.

        Raises:
            UserError: a domain is continuous.
        """
        for key, domain in self.domains.items():
            if not domain.grid():
                raise UserError(
                    f"--search=grid: {key} is {domain.kind}, which has no finite grid; use choice or quniform"
                )
        points = itertools.product(*(domain.grid() for domain in self.domains.values()))
        return [dict(zip(self.domains, point, strict=True)) for point in points]

    def defaults(self, config: HasKeys) -> dict[str, Any] | None:
        """The default values of the keys; None if one of them is outside its domain."""
        values = {key: config[key] for key in self.domains}
        return values if all(domain.contains(values[key]) for key, domain in self.domains.items()) else None

    def to_json(self) -> dict[str, Any]:
        """The space as in the YAML file, for search.json."""
        return {key: domain.to_json() for key, domain in self.domains.items()}


def read_space(path: Path, model: Model, config: HasKeys) -> Space:
    """Reads a params_file.

    Args:
        path: a YAML file (.yaml, .yml) or a file in RecBole's format.
        model: the searched model, or its lineage.
        config: the keys of the model; their values give the types.

    Raises:
        UserError: a missing file, an unknown or fixed key, an invalid line, or an empty range.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; --params_file takes a YAML file or RecBole's .test file")
    yaml = path.suffix in (".yaml", ".yml")
    entries = _read_yaml(path) if yaml else _read_test(path)
    if not entries:
        raise UserError(f"{path}: contains no key; expected lines such as `mixup_m: {{choice: [1, 2, 3]}}`")
    reject_unknown_keys((key for key, *_ in entries), lineage(model), str(path))
    domains: dict[str, Domain] = {}
    for key, kind, arguments, place in entries:
        if key in FIXED:
            raise UserError(f"{place}: {key} cannot be searched, it must be the same in all trials; remove it")
        if key in domains:
            raise UserError(f"{place}: {key} appears twice; remove one line")
        domains[key] = _domain(key, kind, arguments, place, config[key], logs=not yaml)
        _check_values(key, domains[key], config[key], lineage(model)[-1], str(path))
    return Space(domains)


def _check_values(key: str, domain: Domain, default: Any, model: str, source: str) -> None:
    """Raises UserError if a key, or a field of a dict key, cannot have the values of its domain."""
    name, field = split_name(key)
    values = domain.values if domain.kind == "choice" else (domain.cast(domain.low), domain.cast(domain.high))
    for value in values:
        if field:
            check_field(source, name, field, value)
        elif name not in DICT_KEYS:
            check_values({key: value}, {key: default}, model, source)


Entry = tuple[str, str, Any, str]


def _read_yaml(path: Path) -> list[Entry]:
    entries = []
    for key, value in read_yaml(path).items():
        place = f"{path}, {key}"
        if not isinstance(value, dict) or len(value) != 1:
            raise UserError(
                f"{place}: expected one of {', '.join(KINDS)}, as in `{{choice: [1, 2, 3]}}`, found {value}"
            )
        kind, arguments = next(iter(value.items()))
        entries.append((str(key), str(kind), arguments, place))
    return entries


def _read_test(path: Path) -> list[Entry]:
    """Reads RecBole's format: `name kind values`, with a Python list for choice, else comma-separated numbers."""
    lines = path.read_text(encoding="utf-8").splitlines()
    entries = []
    for number, line in enumerate(lines, 1):
        place, words = f"{path}, line {number}", line.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3:
            raise UserError(f"{place}: expected `name kind values`, found '{line.strip()}'")
        key, kind, text = words
        try:
            values = ast.literal_eval(text if kind == "choice" else f"[{text}]")
            # RecBole's files write a list value as a text, '[64, 64]', which its Config evaluates later
            arguments = [_literal(value) for value in values] if isinstance(values, list | tuple) else values
        except (ValueError, SyntaxError):
            raise UserError(f"{place}: '{text}' is not {KINDS.get(kind, 'a list of values')}") from None
        entries.append((key, kind, arguments, place))
    return entries


def _literal(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip().startswith("["):
        return value
    return ast.literal_eval(value)


def _domain(key: str, kind: str, arguments: Any, place: str, default: Any, logs: bool) -> Domain:
    """Validates one entry; `logs` tells whether the bounds of loguniform are logarithms."""
    if kind not in KINDS:
        raise UserError(f"{place}: unknown kind '{kind}'; {did_you_mean(kind, KINDS)}")
    if kind == "choice":
        return Domain(kind, _choices(key, arguments, place, default))
    low, high, step = _bounds(kind, arguments, place)
    if isinstance(default, bool | str | list):
        raise UserError(f"{place}: {key} is not a number but {type(default).__name__}; use choice")
    if kind == "loguniform" and logs:
        low, high = math.exp(low), math.exp(high)
    if not low < high or (kind == "quniform" and not 0 < step <= high - low):
        raise UserError(
            f"{place}: the range {arguments} is empty; low must be below high, and step at most their difference"
        )
    if kind == "loguniform" and low <= 0:
        raise UserError(
            f"{place}: loguniform bounds must be positive, found {arguments}; give values, not logarithms, in YAML"
        )
    return Domain(kind, low=low, high=high, step=step, integer=isinstance(default, int))


def _bounds(kind: str, arguments: Any, place: str) -> tuple[float, float, float]:
    """Low, high and step; 0 as the step of a kind without one."""
    expected = 3 if kind == "quniform" else 2
    if not isinstance(arguments, list) or len(arguments) != expected or not all(map(_is_finite, arguments)):
        raise UserError(f"{place}: {kind}: expected {KINDS[kind]}, found {arguments}")
    low, high, step = [*map(float, arguments), 0.0][:3]
    return low, high, step


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _choices(key: str, arguments: Any, place: str, default: Any) -> tuple[Any, ...]:
    if not isinstance(arguments, list | tuple) or not arguments:
        raise UserError(f"{place}: choice: expected a list of at least one value, found {arguments}")
    texts = [json.dumps(value, sort_keys=True, default=str) for value in arguments]
    if len(set(texts)) < len(texts):
        raise UserError(f"{place}: choice: expected different values for {key}, found {arguments}")
    number = isinstance(default, int | float) and not isinstance(default, bool)
    for value in arguments:
        if number and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise UserError(f"{place}: {key}: expected numbers, found '{value}'")
    return tuple(arguments)
