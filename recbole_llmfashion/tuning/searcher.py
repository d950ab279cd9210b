"""What is tried next: what a kill cut off, the defaults, then what the method draws, handed to Ray Tune as a Searcher.

The journal is the only state: a resumed search is a new object over what the journal holds. This module stops nothing
and runs nothing.
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
    """How to search.

    Args:
        method: optuna, random or grid.
        num_samples: trials in all; of a grid its size.
        steps: reports of the longest trial.
        grace_period: reports that ASHA lets every trial make; 0 stops none.
        reduction_factor: of the trials that reach a rung, one in so many goes on.
        bigger: whether a bigger value is better.
        cpus, gpus: of a trial; may be fractions.
        seed: of random draws and of Optuna's sampler.
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
        """Ray's word."""
        return "max" if self.bigger else "min"


class JournalSearcher(Searcher):
    """Hands out trials: first what a kill cut off, then the defaults, then what the method draws.

    Args:
        space: of keys.
        settings: the search.
        journal: what ended already; each proposal is written to it.
        defaults: values of the keys without a search, tried first; None where they lie outside the space.
    """

    def __init__(self, space: Space, settings: SearchSettings, journal: TrialLog, defaults: Mapping[str, Any] | None):
        super().__init__(metric=VALUE, mode=settings.mode)
        self._space, self._journal = space, journal
        self.number_of: dict[str, int] = {}
        known = set(journal.trials)
        queue = [(trial.number, trial.keys) for trial in journal.unfinished()]
        if settings.method == "grid":
            queue += [(n, values) for n, values in enumerate(space.grid()) if n not in known]
        elif settings.method == "random":
            missing = [n for n in range(settings.num_samples) if n not in known]
            first = {0: dict(defaults)} if defaults else {}
            queue += [(n, first.get(n) or space.sample(settings.seed, n)) for n in missing]
        elif defaults and 0 not in known:
            queue.append((0, dict(defaults)))
        self._queue = queue
        self._next = max([*known, *(n for n, _ in queue), -1]) + 1
        self._optuna = self._make_optuna(settings) if settings.method == "optuna" else None

    def _make_optuna(self, settings: SearchSettings) -> OptunaSearch:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        search = OptunaSearch(
            {key: to_ray(domain) for key, domain in self._space.domains.items()},
            metric=VALUE,
            mode=settings.mode,
            points_to_evaluate=[encode(values) for _, values in self._queue],
            seed=settings.seed + len(self._journal.trials),  # or a resumed search would draw its first values again
        )
        for trial in self._journal.ended():
            if trial.status != FAILED:
                search.add_evaluated_point(encode(trial.keys), trial.value)
        return search

    def suggest(self, trial_id: str) -> Any:
        """The next trial's values, or Ray's word for the end."""
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
        """Optuna may look at what is reported on the way."""
        if self._optuna is not None:
            self._optuna.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Optuna learns the value; a failed trial has none."""
        if self._optuna is not None:
            self._optuna.on_trial_complete(trial_id, result, error)

    def save_to_dir(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the journal is the state."""

    def get_state(self) -> dict[str, Any]:
        """Nothing: the journal is the state."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles a search before it begins, and what it pickled is never read."""
        return {}


def to_ray(domain: Domain) -> Any:
    """A domain in Ray's words."""
    if domain.kind == "choice":
        return tune.choice([_plain(value) for value in domain.values])
    if domain.kind == "uniform":
        return tune.uniform(domain.low, domain.high)
    if domain.kind == "loguniform":
        return tune.loguniform(domain.low, domain.high)
    return tune.quniform(domain.low, domain.grid()[-1], domain.step)


def _plain(value: Any) -> Any:
    """Optuna's choices are numbers, texts and truth values; a list travels as its JSON text."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


def encode(values: dict[str, Any]) -> dict[str, Any]:
    """A trial's values as Optuna takes them."""
    return {key: _plain(value) for key, value in values.items()}


def decode(space: Space, proposed: dict[str, Any]) -> dict[str, Any]:
    """What Optuna proposes as the keys take it."""
    values = {}
    for key, domain in space.domains.items():
        by_text = {_plain(value): value for value in domain.values if isinstance(value, list | tuple | dict)}
        values[key] = by_text[proposed[key]] if proposed[key] in by_text else domain.cast(proposed[key])
    return values
