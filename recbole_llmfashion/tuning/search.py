"""A search on Ray Tune: who proposes values, who stops a trial early, and what goes into the journal.

Ray's own folder of pickled state is temporary: what --resume reads is the journal alone. This module does not know
what a trial does.
"""

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.tuning.journal import FAILED, FINISHED, STOPPED, Journal, Trial
from recbole_llmfashion.tuning.objective import END, STEP, VALUE
from recbole_llmfashion.tuning.space import Domain, Space

OBJECT_STORE = 100 * 2**20  # bytes; results are a few numbers, Ray would set aside a third of the memory
DEATHS = 1  # how often a trial whose process died (a lost node, the system's out-of-memory killer) is tried again


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


class Proposals(Searcher):
    """Hands out trials: first what a kill cut off, then the defaults, then what the method draws.

    Args:
        space: of keys.
        settings: the search.
        journal: what ended already; each proposal is written to it.
        defaults: values of the keys without a search, tried first; None where they lie outside the space.
    """

    def __init__(self, space: Space, settings: SearchSettings, journal: Journal, defaults: Mapping[str, Any] | None):
        super().__init__(metric=VALUE, mode=settings.mode)
        self._space, self._journal = space, journal
        self.number_of: dict[str, int] = {}
        known = set(journal.trials)
        queue = [(trial.number, trial.keys) for trial in journal.unfinished()]
        if settings.method == "grid":
            queue += [(n, values) for n, values in enumerate(space.grid()) if n not in known]
        elif settings.method == "random":
            drawn = (dict(defaults) if n == 0 and defaults else space.sample(settings.seed, n) for n in _naturals())
            pairs = zip(range(settings.num_samples), drawn, strict=False)
            queue += [(n, values) for n, values in pairs if n not in known]
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


def _naturals() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


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


class Recorder(tune.Callback):
    """Writes what trials report and how they end into the journal.

    Args:
        journal: of this search.
        proposals: knows the number of each of Ray's trials.
        on_end: called after each end, with the trial as the journal has it.
    """

    def __init__(self, journal: Journal, proposals: Proposals, on_end: Callable[[Trial], None]) -> None:
        self._journal, self._proposals, self._on_end = journal, proposals, on_end

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as for `Proposals`."""
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A report, or the last line of a trial."""
        if END not in result:
            number = self._proposals.number_of[trial.trial_id]
            self._journal.add("report", number, step=result[STEP], value=result[VALUE])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """By itself, or stopped by the scheduler."""
        result = trial.last_result or {}
        end = result.get(END)
        status = STOPPED if end is None else FAILED if "error" in end else FINISHED
        self._end(trial, status, result.get(VALUE, float("nan")), end or {})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The process died, again and again."""
        lines = [line for line in str(trial.get_error() or "").splitlines() if line.strip()]
        why = " ".join(" ".join(lines[-6:]).split())[:300]
        self._end(trial, FAILED, float("nan"), {"error": f"the trial's process died: {why}", "traceback": ""})

    def _end(self, trial: Any, status: str, value: float, details: dict[str, Any]) -> None:
        number = self._proposals.number_of[trial.trial_id]
        seconds = float((trial.last_result or {}).get("time_total_s", 0.0))
        self._journal.add("end", number, status=status, value=value, seconds=seconds, details=details)
        self._on_end(self._journal.trials[number])


def search(
    objective: Callable[[dict[str, Any]], None],
    space: Space,
    settings: SearchSettings,
    journal: Journal,
    defaults: Mapping[str, Any] | None,
    on_end: Callable[[Trial], None],
    reporter: tune.ProgressReporter | None,
) -> None:
    """Runs the trials that the journal lacks; Ray must be up, see `cluster`."""
    left = settings.num_samples - len(journal.ended())
    if left <= 0:
        return
    # Ray asks a searcher for one trial at a time; a new worker then never gets one, for while it starts, the trial goes
    # to the worker that has just ended another, and the whole search runs on a single worker.
    slots = int(ray.cluster_resources().get("CPU", 1) / max(settings.cpus, 0.1))
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(2, slots))
    proposals = Proposals(space, settings, journal, defaults)
    scheduler: Any = FIFOScheduler()
    if settings.grace_period:
        scheduler = Halving(
            settings, lambda trial: journal.trials[proposals.number_of[trial.trial_id]].keys == defaults
        )
    storage = tempfile.mkdtemp(prefix="recbole_llmfashion_search_")
    try:
        tuner = tune.Tuner(
            tune.with_resources(objective, {"cpu": settings.cpus, "gpu": settings.gpus}),
            tune_config=tune.TuneConfig(
                metric=VALUE,
                mode=settings.mode,
                search_alg=proposals,
                scheduler=scheduler,
                num_samples=left,
                reuse_actors=True,
                trial_name_creator=lambda trial: f"trial {proposals.number_of[trial.trial_id]}",
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                storage_path=storage,
                failure_config=tune.FailureConfig(max_failures=DEATHS),
                callbacks=[Recorder(journal, proposals, on_end)],
                progress_reporter=reporter,
                verbose=1 if reporter is not None else 0,
            ),
        )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", RuntimeWarning
            )  # ASHA takes percentiles of values, and a failed trial has nan
            tuner.fit()
    finally:
        shutil.rmtree(storage, ignore_errors=True)


class Halving(ASHAScheduler):
    """Ray's ASHA (arXiv 1810.05934), but for the defaults, which run to their end so that a gain can be told.

    Args:
        settings: the search; `steps` reports are the longest trial, its last line one more.
        is_default: whether one of Ray's trials has the default values.
    """

    def __init__(self, settings: SearchSettings, is_default: Callable[[Any], bool]) -> None:
        super().__init__(
            time_attr=STEP,
            max_t=max(settings.steps, settings.grace_period) + 1,
            grace_period=settings.grace_period,
            reduction_factor=settings.reduction_factor,
        )
        self._is_default = is_default

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether a trial goes on."""
        decision = super().on_trial_result(controller, trial, result)
        return FIFOScheduler.CONTINUE if self._is_default(trial) else decision


@contextmanager
def cluster(address: str | None, num_cpus: int | None = None) -> Iterator[None]:
    """Ray, started here for this search, or the cluster at an address, which stays up.

    Args:
        address: host:port of a running cluster; None starts one here.
        num_cpus: of the one that is started; None takes the machine's.

    Raises:
        UserError: nothing answers there.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would phone home
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the journal is enough
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the reporter that takes our columns
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    started = not ray.is_initialized()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if not started:
            pass
        elif address:
            ray.init(address=address, **quiet)
        else:
            ray.init(
                address="local", num_cpus=num_cpus, include_dashboard=False, object_store_memory=OBJECT_STORE, **quiet
            )
    except ConnectionError as error:
        text = " ".join(str(error).split())
        raise UserError(
            f"--address: no Ray cluster at '{address}' ({text}); start one with `ray start --head`"
        ) from None
    try:
        yield
    finally:
        if started:
            ray.shutdown()
