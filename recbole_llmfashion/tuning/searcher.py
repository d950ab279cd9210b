"""Proposes the values of the next trial to Ray Tune.

Interrupted trials come first, then the defaults, then draws of the search method. The trial log is the only state: a
resumed search creates a new searcher from the log.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recbole_llmfashion.errors import needs_extra
from recbole_llmfashion.tuning.objective import VALUE
from recbole_llmfashion.tuning.space import Domain, Space
from recbole_llmfashion.tuning.trial_log import FAILED, TrialLog

with needs_extra("tune"):
    import optuna
    from ray import tune
    from ray.tune.search import Searcher
    from ray.tune.search.optuna import OptunaSearch


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search.

    Args:
        method: optuna, random or grid.
        num_samples: total number of trials; for a grid, its size.
        steps: number of reports of the longest trial.
        grace_period: reports that ASHA grants every trial; 0 disables early stopping.
        reduction_factor: ASHA continues one of this many trials at each rung.
        bigger: whether larger values are better.
        cpus: CPUs of a trial; may be a fraction.
        gpus: GPUs of a trial; may be a fraction.
        seed: seed of random draws and of Optuna's sampler.
    """

    method: str
    num_samples: int
    steps: int
    grace_period: int
    reduction_factor: int
    bigger: bool
    cpus: float
    gpus: float
    seed: int

    @property
    def mode(self) -> str:
        """Ray's name of the direction: max or min."""
        return "max" if self.bigger else "min"


class JournalSearcher(Searcher):
    """Proposes trials: first interrupted ones, then the defaults, then draws of the search method.

    Args:
        space: the search space.
        settings: settings of the search.
        journal: trial log; each proposal is written to it.
        defaults: default values of the keys, tried first; None if they are outside the space.
    """

    def __init__(self, space: Space, settings: SearchSettings, journal: TrialLog, defaults: Mapping[str, Any] | None):
        super().__init__(metric=VALUE, mode=settings.mode)
        self._space, self._journal = space, journal
        self.number_of: dict[str, int] = {}
        self._queue = [(trial.number, trial.keys) for trial in journal.unfinished()]
        self._queue += self._new_trials(settings, defaults)
        self._next = max([*journal.trials, *(n for n, _ in self._queue), -1]) + 1
        self._optuna = self._make_optuna(settings) if settings.method == "optuna" else None

    def _new_trials(
        self, settings: SearchSettings, defaults: Mapping[str, Any] | None
    ) -> list[tuple[int, dict[str, Any]]]:
        """Number and values of the trials that are known in advance and not in the log."""
        logged = set(self._journal.trials)
        if settings.method == "grid":
            return [(n, values) for n, values in enumerate(self._space.grid()) if n not in logged]
        if settings.method == "random":
            missing = [n for n in range(settings.num_samples) if n not in logged]
            first = {0: dict(defaults)} if defaults else {}
            return [(n, first.get(n) or self._space.sample(settings.seed, n)) for n in missing]
        return [(0, dict(defaults))] if defaults and 0 not in logged else []

    def _make_optuna(self, settings: SearchSettings) -> OptunaSearch:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        search = OptunaSearch(
            {key: to_ray(domain) for key, domain in self._space.domains.items()},
            metric=VALUE,
            mode=settings.mode,
            points_to_evaluate=[encode(values) for _, values in self._queue],
            seed=settings.seed + len(self._journal.trials),  # otherwise a resumed search would repeat its first draws
        )
        for trial in self._journal.ended():
            if trial.status != FAILED:
                search.add_evaluated_point(encode(trial.keys), trial.value)
        return search

    def suggest(self, trial_id: str) -> Any:
        """The values of the next trial, or Ray's constant for the end of the search."""
        if not self._queue and self._optuna is None:
            return Searcher.FINISHED
        proposed = self._optuna.suggest(trial_id) if self._optuna is not None else None
        if self._queue:
            number, values = self._queue.pop(0)
        else:
            number, values = self._next, decode(self._space, proposed or {})
            self._next += 1
        self.number_of[trial_id] = number
        self._journal.add("start", number, keys=values)
        return values

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Passes an intermediate report to Optuna."""
        if self._optuna is not None:
            self._optuna.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Passes the final value to Optuna; a failed trial has none."""
        if self._optuna is not None:
            self._optuna.on_trial_complete(trial_id, result, error)

    def save_to_dir(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the trial log is the state."""

    def get_state(self) -> dict[str, Any]:
        """Empty: the trial log is the state."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Empty: Ray pickles a searcher before the search starts, and the pickled state is never read."""
        return {}


def to_ray(domain: Domain) -> Any:
    """A domain as Ray's sampling object."""
    if domain.kind == "choice":
        return tune.choice([_plain(value) for value in domain.values])
    if domain.kind == "uniform":
        return tune.uniform(domain.low, domain.high)
    if domain.kind == "loguniform":
        return tune.loguniform(domain.low, domain.high)
    return tune.quniform(domain.low, domain.grid()[-1], domain.step)


def _plain(value: Any) -> Any:
    """Optuna's choices are numbers, texts and booleans; lists are passed as JSON text."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


def encode(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a trial in the form that Optuna accepts.

    Example:
        >>> encode({"sizes": [64, 64], "rate": 0.1})
        {'sizes': '[64, 64]', 'rate': 0.1}
    """
    return {key: _plain(value) for key, value in values.items()}


def decode(space: Space, proposed: dict[str, Any]) -> dict[str, Any]:
    """Converts Optuna's proposal to the types of the keys; inverse of `encode`."""
    values = {}
    for key, domain in space.domains.items():
        by_text = {_plain(value): value for value in domain.values if isinstance(value, list | tuple | dict)}
        values[key] = by_text[proposed[key]] if proposed[key] in by_text else domain.cast(proposed[key])
    return values
