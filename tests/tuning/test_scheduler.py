"""Searches on Ray, with objectives of one line."""

import math
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import tune

from recbole_llmfashion.distributed.cluster import cluster, max_concurrent_trials
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.tuning.objective import END, STEP, VALUE
from recbole_llmfashion.tuning.scheduler import PatientASHA, TrialLogCallback, search
from recbole_llmfashion.tuning.space import Domain, Space
from recbole_llmfashion.tuning.trial_log import FAILED, FINISHED, STOPPED, TrialLog
from tests.helpers.tuning import by_value, rising, settings

by_value(sys.modules[__name__])
by_value(sys.modules["tests.helpers.tuning"])
TENTHS = Space({"x": Domain("choice", values=tuple(n / 10 for n in range(9, 0, -1)))})


@pytest.fixture(scope="module")
def two_cpus():
    with cluster(None, num_cpus=2):
        yield


def run(folder, objective, space, chosen, defaults=None):
    folder.mkdir(exist_ok=True)
    journal, ended = TrialLog(folder / "journal.jsonl"), []
    search(objective, space, chosen, journal, defaults, lambda trial: ended.append(trial.number), None)
    assert sorted(set(ended)) == sorted(ended)
    return journal


def test_asha_never_stops_the_defaults(two_cpus, tmp_path):
    """The grid is ordered from best to worst, so most trials are stopped; the defaults are last and worst."""
    chosen, worst = settings(method="grid", num_samples=9, grace_period=1), {"x": 0.1}
    journal = run(tmp_path, rising, TENTHS, chosen, defaults=worst)
    statuses = [trial.status for trial in journal.ended()]
    assert len(statuses) == 9 and statuses.count(STOPPED) >= 4 and statuses[0] == FINISHED
    stopped = [trial for trial in journal.ended() if trial.status == STOPPED]
    assert all(len(trial.reports) < 4 for trial in stopped)
    assert journal.best().keys == {"x": 0.9} and journal.best().value == pytest.approx(3.6)
    assert journal.trials[8].keys == worst and journal.trials[8].status == FINISHED
    assert [value for *_, value in journal.trials[8].reports] == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(("steps", "decision"), [(4, PatientASHA.CONTINUE), (8, PatientASHA.STOP)])
def test_trial_at_its_last_report_is_not_stopped(steps, decision):
    """The rung is at report 4; if that is the last report, stopping would save nothing."""
    scheduler = PatientASHA(settings(grace_period=4, steps=steps), lambda trial: False)
    scheduler.set_search_properties(VALUE, "max")
    decisions = []
    for value in (0.9, 0.8, 0.1):
        trial = SimpleNamespace(trial_id=str(value), config={})
        scheduler.on_trial_add(None, trial)
        decisions.append(scheduler.on_trial_result(None, trial, {STEP: 4, VALUE: value}))
    assert decisions == [PatientASHA.CONTINUE, decision, decision]


def breaks(values):
    if values["x"] == 0.8:
        os._exit(1)  # like the out-of-memory killer
    if values["x"] == 0.7:
        tune.report({STEP: 1, VALUE: float("nan"), END: {"error": "ValueError: no", "traceback": "..."}})
        return
    rising(values)


@pytest.mark.slow
def test_trial_whose_process_ends(two_cpus, tmp_path):
    few = Space({"x": Domain("choice", values=(0.9, 0.8, 0.7, 0.6))})
    journal = run(tmp_path, breaks, few, settings(method="grid", grace_period=2))
    by_x = {trial.keys["x"]: trial for trial in journal.ended()}
    assert len(by_x) == 4 and by_x[0.8].status == by_x[0.7].status == FAILED
    assert by_x[0.8].details["error"].startswith("the trial's process died")
    assert by_x[0.7].details["error"] == "ValueError: no" and math.isnan(by_x[0.7].value)
    assert by_x[0.9].status == FINISHED and journal.best().keys == {"x": 0.9}


def ends_twice(values):
    attempts = Path(values["folder"])
    if (ended := len(list(attempts.iterdir()))) < 2:
        (attempts / str(ended)).touch()
        os._exit(1)  # like a lost node, on which Ray may start the trial once more
    rising({"x": 0.5})


@pytest.mark.slow
def test_a_trial_whose_process_ended_twice_finishes(two_cpus, tmp_path):
    (attempts := tmp_path / "attempts").mkdir()
    space = Space({"folder": Domain("choice", values=(str(attempts),))})
    journal = run(tmp_path / "search", ends_twice, space, settings(method="grid", num_samples=1))
    assert [(trial.status, trial.value) for trial in journal.ended()] == [(FINISHED, 2.0)]
    assert len(list(attempts.iterdir())) == 2


def test_a_trial_that_begins_again_keeps_the_reports_of_its_last_attempt(tmp_path):
    """Ray restarts a trial whose process died, under the same id."""
    journal = TrialLog(tmp_path / "journal.jsonl")
    journal.add("start", 0, keys={"x": 0.9})
    callback = TrialLogCallback(journal, SimpleNamespace(number_of={"a": 0}), lambda trial: None)
    for step in (1, 2, 1, 2, 3):
        callback.on_trial_result(0, [], SimpleNamespace(trial_id="a"), {STEP: step, VALUE: step / 2})
    again = TrialLog(tmp_path / "journal.jsonl")
    for log in (journal, again):
        assert [(step, value) for _, step, value in log.trials[0].reports] == [(1, 0.5), (2, 1.0), (3, 1.5)]
        assert log.trials[0].keys == {"x": 0.9}


def report_process(values):
    time.sleep(0.8)
    tune.report({STEP: 1, VALUE: values["x"], END: {"process": os.getpid()}})


@pytest.mark.slow
def test_one_reused_worker_per_cpu(two_cpus, tmp_path):
    """Trials take less time than the start of a worker, so each CPU must keep one worker for all trials."""
    many = Space({"x": Domain("choice", values=tuple(range(12)))})
    journal = run(tmp_path, report_process, many, settings(method="grid", num_samples=12))
    assert len(journal.ended()) == 12 and len({trial.details["process"] for trial in journal.ended()}) == 2


def test_no_node_large_enough(two_cpus):
    """Ray would wait forever."""
    assert [max_concurrent_trials(cpus, 0) for cpus in (0.5, 1, 2)] == [4, 2, 1]
    with pytest.raises(UserError, match=r"--cpus_per_trial=3 .*: no node has that many; the largest has 2 CPUs"):
        max_concurrent_trials(3, 0)
    with pytest.raises(UserError, match="the largest has 2 CPUs, 0 GPUs"):
        max_concurrent_trials(1, 1)


def lists(values):
    rising({"x": sum(values["dilations"]) / 10})


@pytest.mark.slow
def test_choice_of_lists(two_cpus, tmp_path):
    """Optuna gets lists as texts; without a grace period no trial is stopped."""
    space = Space({"dilations": Domain("choice", values=([1, 2], [1, 4]))})
    journal = run(tmp_path, lists, space, settings(method="optuna"), defaults={"dilations": [1, 4]})
    assert journal.trials[0].keys == {"dilations": [1, 4]} and len(journal.ended()) == 4
    for trial in journal.ended():
        assert trial.keys["dilations"] in ([1, 2], [1, 4]) and trial.status == FINISHED
        assert trial.value == pytest.approx(sum(trial.keys["dilations"]) * 0.4) and len(trial.reports) == 4
