"""A search on Ray Tune: who stops a trial early, what goes into the journal, and the run itself.

Ray's own folder of pickled state is temporary: what --resume reads is the journal alone. This module does not know
what a trial does.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ray import tune
from ray.tune.experiment.trial import Trial as Experiment
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from recbole_llmfashion.distributed.cluster import max_concurrent_trials
from recbole_llmfashion.tuning.objective import END, STEP, VALUE
from recbole_llmfashion.tuning.searcher import JournalSearcher, SearchSettings
from recbole_llmfashion.tuning.space import Space
from recbole_llmfashion.tuning.trial_log import FAILED, FINISHED, STOPPED, Trial, TrialLog

DEATHS = 1  # how often a trial whose process died (a lost node, the system's out-of-memory killer) is tried again


class TrialLogCallback(tune.Callback):
    """Writes what trials report and how they end into the journal.

    Args:
        journal: of this search.
        proposals: knows the number of each of Ray's trials.
        on_end: called after each end, with the trial as the journal has it.
    """

    def __init__(self, journal: TrialLog, proposals: JournalSearcher, on_end: Callable[[Trial], None]) -> None:
        self._journal, self._proposals, self._on_end = journal, proposals, on_end

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as for `JournalSearcher`."""
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


class NewestFirstScheduler(FIFOScheduler):
    """No trial is stopped; a free worker takes the newest of the trials that wait.

    Ray gives it the oldest, whose own worker is being started, and drops that worker: where a trial is shorter than a
    worker's imports, the second worker never comes up and the whole search runs on one.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The newest pending trial."""
        pending = (trial for trial in reversed(tune_controller.get_trials()) if trial.status == Experiment.PENDING)
        return next(pending, None)


class PatientASHA(NewestFirstScheduler, ASHAScheduler):
    """Ray's ASHA (arXiv 1810.05934), but for the defaults, which run to their end so that a gain can be told, and for
    trials that have made their last report, which have nothing left to save.

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
        self._steps, self._is_default = settings.steps, is_default

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether a trial goes on."""
        decision = super().on_trial_result(controller, trial, result)
        saves_nothing = result[STEP] >= self._steps
        return FIFOScheduler.CONTINUE if saves_nothing or self._is_default(trial) else decision


def search(
    objective: Callable[[dict[str, Any]], None],
    space: Space,
    settings: SearchSettings,
    journal: TrialLog,
    defaults: Mapping[str, Any] | None,
    on_end: Callable[[Trial], None],
    reporter: tune.ProgressReporter | None,
) -> None:
    """Runs the trials that the journal lacks; Ray must be up, see `cluster`."""
    left = settings.num_samples - len(journal.ended())
    if left <= 0:
        return
    # Ray requests one trial at a time, which leaves none for a worker that is starting, see NewestFirstScheduler.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(2, max_concurrent_trials(settings.cpus, settings.gpus)))
    proposals = JournalSearcher(space, settings, journal, defaults)
    scheduler: Any = NewestFirstScheduler()
    if settings.grace_period:
        scheduler = PatientASHA(
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
                callbacks=[TrialLogCallback(journal, proposals, on_end)],
                progress_reporter=reporter,
                verbose=1 if reporter is not None else 0,
            ),
        )
        with warnings.catch_warnings():
            # ASHA takes percentiles of values, and a failed trial has none
            warnings.simplefilter("ignore", RuntimeWarning)
            tuner.fit()
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def reporter(keys: list[str]) -> tune.ProgressReporter:
    """Ray's table of trials, on the terminal while the search runs."""
    return tune.CLIReporter(
        metric_columns={STEP: "report", VALUE: "validation", "time_total_s": "seconds"},
        parameter_columns=keys,
        max_report_frequency=15,
        max_progress_rows=20,
        sort_by_metric=True,
    )
