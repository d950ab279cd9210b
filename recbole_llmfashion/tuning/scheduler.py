"""Runs a search on Ray Tune: schedulers that stop trials early, and the callback that writes the trial log.

Ray's folder of pickled state is temporary; --resume reads the trial log only.
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

# Restarts of a trial whose process died. A lost node can end a trial twice: until Ray notes the loss, it may start the
# trial on that node again.
MAX_RESTARTS = 2


class TrialLogCallback(tune.Callback):
    """Writes the reports and ends of trials to the trial log.

    Args:
        journal: trial log of this search.
        searcher: maps Ray's trial ids to trial numbers.
        on_end: called with each trial that ended.
    """

    def __init__(self, journal: TrialLog, searcher: JournalSearcher, on_end: Callable[[Trial], None]) -> None:
        self._journal, self._searcher, self._on_end = journal, searcher, on_end

    def __getstate__(self) -> dict[str, Any]:
        """Empty: Ray pickles callbacks, and the pickled state is never read."""
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Logs a report; the final report is logged when the trial completes."""
        if END not in result:
            number = self._searcher.number_of[trial.trial_id]
            logged = self._journal.trials[number]
            if logged.reports and result[STEP] <= logged.reports[-1][1]:
                self._journal.add("start", number, keys=logged.keys)  # Ray began it again, see MAX_RESTARTS
            self._journal.add("report", number, step=result[STEP], value=result[VALUE])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Logs the end of a trial that finished, failed or was stopped by the scheduler."""
        result = trial.last_result or {}
        end = result.get(END)
        status = STOPPED if end is None else FAILED if "error" in end else FINISHED
        self._end(trial, status, result.get(VALUE, float("nan")), end or {})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Logs a trial whose process died more often than MAX_RESTARTS."""
        lines = [line for line in str(trial.get_error() or "").splitlines() if line.strip()]
        reason = " ".join(" ".join(lines[-6:]).split())[:300]
        self._end(trial, FAILED, float("nan"), {"error": f"the trial's process died: {reason}", "traceback": ""})

    def _end(self, trial: Any, status: str, value: float, details: dict[str, Any]) -> None:
        number = self._searcher.number_of[trial.trial_id]
        seconds = float((trial.last_result or {}).get("time_total_s", 0.0))
        self._journal.add("end", number, status=status, value=value, seconds=seconds, details=details)
        self._on_end(self._journal.trials[number])


class NewestFirstScheduler(FIFOScheduler):
    """Stops no trial; a free worker takes the newest pending trial.

    Ray's FIFO scheduler gives it the oldest pending trial and drops the worker that is being started for that trial. If
    a trial takes less time than the imports of a worker, a second worker never starts and the search runs on one.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The newest pending trial."""
        pending = (trial for trial in reversed(tune_controller.get_trials()) if trial.status == Experiment.PENDING)
        return next(pending, None)


class PatientASHA(NewestFirstScheduler, ASHAScheduler):
    """Ray's ASHA (arXiv 1810.05934) with two exceptions.

    A trial with the default values always runs to its end, so that the gain over the defaults is known. A trial that
    has made its last report is not stopped, as stopping would save nothing.

    Args:
        settings: settings of the search; the longest trial makes `steps` reports and one final report.
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
        """Decides whether a trial continues."""
        decision = super().on_trial_result(controller, trial, result)
        last_report = result[STEP] >= self._steps
        return FIFOScheduler.CONTINUE if last_report or self._is_default(trial) else decision


def search(
    objective: Callable[[dict[str, Any]], None],
    space: Space,
    settings: SearchSettings,
    journal: TrialLog,
    defaults: Mapping[str, Any] | None,
    on_end: Callable[[Trial], None],
    reporter: tune.ProgressReporter | None,
) -> None:
    """Runs the trials that are missing in the trial log. Ray must be running, see `cluster`.

    Args:
        objective: the function of a trial, see `make_objective`.
        space: the search space.
        settings: settings of the search.
        journal: trial log.
        defaults: default values of the searched keys; None if they are outside the space.
        on_end: called with each trial that ended.
        reporter: Ray's table on the terminal; None for no output.
    """
    left = settings.num_samples - len(journal.ended())
    if left <= 0:
        return
    # Ray requests one trial at a time, which leaves none for a worker that is starting, see NewestFirstScheduler.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(2, max_concurrent_trials(settings.cpus, settings.gpus)))
    searcher = JournalSearcher(space, settings, journal, defaults)
    scheduler: Any = NewestFirstScheduler()
    if settings.grace_period:
        scheduler = PatientASHA(
            settings, lambda trial: journal.trials[searcher.number_of[trial.trial_id]].keys == defaults
        )
    storage = tempfile.mkdtemp(prefix="recbole_llmfashion_search_")
    try:
        tuner = tune.Tuner(
            tune.with_resources(objective, {"cpu": settings.cpus, "gpu": settings.gpus}),
            tune_config=tune.TuneConfig(
                metric=VALUE,
                mode=settings.mode,
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=left,
                reuse_actors=True,
                trial_name_creator=lambda trial: f"trial {searcher.number_of[trial.trial_id]}",
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                storage_path=storage,
                failure_config=tune.FailureConfig(max_failures=MAX_RESTARTS),
                callbacks=[TrialLogCallback(journal, searcher, on_end)],
                progress_reporter=reporter,
                verbose=1 if reporter is not None else 0,
            ),
        )
        with warnings.catch_warnings():
            # ASHA computes percentiles of values; the value of a failed trial is nan
            warnings.simplefilter("ignore", RuntimeWarning)
            tuner.fit()
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def reporter(keys: list[str]) -> tune.ProgressReporter:
    """Ray's table of trials, shown on the terminal while the search runs."""
    return tune.CLIReporter(
        metric_columns={STEP: "report", VALUE: "validation", "time_total_s": "seconds"},
        parameter_columns=keys,
        max_report_frequency=15,
        max_progress_rows=20,
        sort_by_metric=True,
    )
