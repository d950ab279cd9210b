"""The search on a real Ray, with objectives that are a line of arithmetic."""

import math
import os
import sys
import time
from types import SimpleNamespace

import pytest
from ray import tune
from ray.tune.search import Searcher

from recbole_llmfashion.distributed.cluster import cluster, max_concurrent_trials
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.tuning.objective import END, STEP, VALUE
from recbole_llmfashion.tuning.scheduler import PatientASHA, search
from recbole_llmfashion.tuning.searcher import JournalSearcher, decode, encode
from recbole_llmfashion.tuning.space import Domain, Space
from recbole_llmfashion.tuning.trial_log import FAILED, FINISHED, STOPPED, TrialLog
from tests.helpers.tuning import by_value, rising, settings

by_value(sys.modules[__name__])
by_value(sys.modules["tests.helpers.tuning"])
TENTHS = Space({"x": Domain("choice", values=tuple(n / 10 for n in range(9, 0, -1)))})
LINE = Space({"x": Domain("uniform", low=0.0, high=1.0)})


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


def test_asha_stops_trials_early_but_never_the_defaults(two_cpus, tmp_path):
    """Best first, so that all but few are worse than what ran before them; the defaults come last and are worst."""
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
def test_a_trial_at_its_last_report_is_not_stopped(steps, decision):
    """The rung is at report 4: where that is the last, stopping would save nothing and lose what was trained."""
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
        os._exit(1)  # as the system's out-of-memory killer would
    if values["x"] == 0.7:
        tune.report({STEP: 1, VALUE: float("nan"), END: {"error": "ValueError: no", "traceback": "..."}})
        return
    rising(values)


def test_a_trial_that_dies_is_a_failed_row(two_cpus, tmp_path):
    few = Space({"x": Domain("choice", values=(0.9, 0.8, 0.7, 0.6))})
    journal = run(tmp_path, breaks, few, settings(method="grid", grace_period=2))
    by_x = {trial.keys["x"]: trial for trial in journal.ended()}
    assert len(by_x) == 4 and by_x[0.8].status == by_x[0.7].status == FAILED
    assert by_x[0.8].details["error"].startswith("the trial's process died")
    assert by_x[0.7].details["error"] == "ValueError: no" and math.isnan(by_x[0.7].value)
    assert by_x[0.9].status == FINISHED and journal.best().keys == {"x": 0.9}


def where(values):
    time.sleep(0.8)
    tune.report({STEP: 1, VALUE: values["x"], END: {"process": os.getpid()}})


def test_every_cpu_has_its_worker_and_keeps_it(two_cpus, tmp_path):
    """Trials are shorter than the start of a worker: one anew for each would cost more than the trial, and a second one
    that is dropped whenever the first is free would never come up."""
    many = Space({"x": Domain("choice", values=tuple(range(12)))})
    journal = run(tmp_path, where, many, settings(method="grid", num_samples=12))
    assert len(journal.ended()) == 12 and len({trial.details["process"] for trial in journal.ended()}) == 2


def test_what_no_node_can_run_is_said(two_cpus):
    """Ray would wait for ever."""
    assert [max_concurrent_trials(cpus, 0) for cpus in (0.5, 1, 2)] == [4, 2, 1]
    with pytest.raises(UserError, match=r"--cpus_per_trial=3 .*: no node has as much; the most is 2 CPUs"):
        max_concurrent_trials(3, 0)
    with pytest.raises(UserError, match="the most is 2 CPUs, 0 GPUs"):
        max_concurrent_trials(1, 1)


def lists(values):
    rising({"x": sum(values["dilations"]) / 10})


def test_a_choice_of_lists_and_no_scheduler(two_cpus, tmp_path):
    """Nothing but numbers, texts and truth values goes through Optuna; without a grace period nothing is stopped."""
    space = Space({"dilations": Domain("choice", values=([1, 2], [1, 4]))})
    journal = run(tmp_path, lists, space, settings(method="optuna"), defaults={"dilations": [1, 4]})
    assert journal.trials[0].keys == {"dilations": [1, 4]} and len(journal.ended()) == 4
    for trial in journal.ended():
        assert trial.keys["dilations"] in ([1, 2], [1, 4]) and trial.status == FINISHED
        assert trial.value == pytest.approx(sum(trial.keys["dilations"]) * 0.4) and len(trial.reports) == 4


def proposals(folder, method, num_samples, defaults, space=LINE, **changed):
    chosen = settings(method=method, num_samples=num_samples, **changed)
    journal = TrialLog(folder / "journal.jsonl")
    return JournalSearcher(space, chosen, journal, defaults), journal


def end(made, journal, trial_id, value):
    number = made.number_of[trial_id]
    journal.add("end", number, status=FINISHED, value=value, seconds=1.0, details={})
    made.on_trial_complete(trial_id, {VALUE: value, STEP: 1})


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_a_resumed_search_goes_on_where_it_was(tmp_path, method):
    first, journal = proposals(tmp_path, method, 3, {"x": 0.25})
    for trial_id in "abc":
        first.suggest(trial_id)
    for trial_id in "ac":
        end(first, journal, trial_id, 0.5)
    assert journal.trials[0].keys == {"x": 0.25}  # the defaults first
    cut_off = journal.trials[1].keys
    again, journal = proposals(tmp_path, method, 6, {"x": 0.25})
    drawn = [again.suggest(trial_id) for trial_id in "defg"]
    assert drawn[0] == cut_off and again.number_of == {"d": 1, "e": 3, "f": 4, "g": 5}
    assert len({trial.keys["x"] for trial in journal.trials.values()}) == 6  # nothing is drawn a second time
    if method == "random":
        assert drawn[1:] == [LINE.sample(0, number) for number in (3, 4, 5)]
        assert again.suggest("h") == Searcher.FINISHED


def test_a_grid_goes_on_with_the_points_it_lacks(tmp_path):
    first, journal = proposals(tmp_path, "grid", 9, None, TENTHS)
    for trial_id in "ab":
        first.suggest(trial_id)
    end(first, journal, "b", 0.5)
    again, journal = proposals(tmp_path, "grid", 9, None, TENTHS)
    drawn = [again.suggest(str(n)) for n in range(8)]
    assert [values["x"] for values in drawn] == [0.9, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert again.suggest("last") == Searcher.FINISHED


@pytest.mark.parametrize("bigger", [True, False])
def test_optuna_learns_from_what_ended(tmp_path, bigger):
    """Also from what ended before a kill: the draws after thirty trials lie nearer the better end than the first."""
    first, journal = proposals(tmp_path, "optuna", 40, None, bigger=bigger)
    for n in range(15):
        end(first, journal, str(n), first.suggest(str(n))["x"])
    again, journal = proposals(tmp_path, "optuna", 40, None, bigger=bigger)
    for n in range(15, 40):
        end(again, journal, str(n), again.suggest(str(n))["x"])
    drawn = [journal.trials[n].keys["x"] for n in range(40)]
    late, early = sum(drawn[30:]) / 10, sum(drawn[:10]) / 10
    assert late > early + 0.15 if bigger else late < early - 0.15


def test_values_on_their_way_to_optuna_and_back():
    space = Space(
        {"a": Domain("choice", values=([1], [2, 3])), "b": Domain("quniform", low=2, high=8, step=2, integer=True)}
    )
    values = {"a": [2, 3], "b": 4}
    assert encode(values) == {"a": "[2, 3]", "b": 4}
    assert decode(space, {"a": "[2, 3]", "b": 4.0}) == values and isinstance(
        decode(space, {"a": "[1]", "b": 4.0})["b"], int
    )
