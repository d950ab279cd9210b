"""Proposals of new, resumed and grid searches, without Ray."""

import pytest
from ray.tune.search import Searcher

from recbole_llmfashion.tuning.objective import STEP, VALUE
from recbole_llmfashion.tuning.searcher import JournalSearcher, decode, encode
from recbole_llmfashion.tuning.space import Domain, Space
from recbole_llmfashion.tuning.trial_log import FINISHED, TrialLog
from tests.helpers.tuning import settings

TENTHS = Space({"x": Domain("choice", values=tuple(n / 10 for n in range(9, 0, -1)))})
LINE = Space({"x": Domain("uniform", low=0.0, high=1.0)})


def searcher(folder, method, num_samples, defaults, space=LINE, **changed):
    chosen = settings(method=method, num_samples=num_samples, **changed)
    journal = TrialLog(folder / "journal.jsonl")
    return JournalSearcher(space, chosen, journal, defaults), journal


def end(searching, journal, trial_id, value):
    number = searching.number_of[trial_id]
    journal.add("end", number, status=FINISHED, value=value, seconds=1.0, details={})
    searching.on_trial_complete(trial_id, {VALUE: value, STEP: 1})


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_resumed_search(tmp_path, method):
    first, journal = searcher(tmp_path, method, 3, {"x": 0.25})
    for trial_id in "abc":
        first.suggest(trial_id)
    for trial_id in "ac":
        end(first, journal, trial_id, 0.5)
    assert journal.trials[0].keys == {"x": 0.25}  # the defaults first
    interrupted = journal.trials[1].keys
    again, journal = searcher(tmp_path, method, 6, {"x": 0.25})
    drawn = [again.suggest(trial_id) for trial_id in "defg"]
    assert drawn[0] == interrupted and again.number_of == {"d": 1, "e": 3, "f": 4, "g": 5}
    assert len({trial.keys["x"] for trial in journal.trials.values()}) == 6  # no value is drawn twice
    if method == "random":
        assert drawn[1:] == [LINE.sample(0, number) for number in (3, 4, 5)]
        assert again.suggest("h") == Searcher.FINISHED


def test_resumed_grid(tmp_path):
    first, journal = searcher(tmp_path, "grid", 9, None, TENTHS)
    for trial_id in "ab":
        first.suggest(trial_id)
    end(first, journal, "b", 0.5)
    again, journal = searcher(tmp_path, "grid", 9, None, TENTHS)
    drawn = [again.suggest(str(n)) for n in range(8)]
    assert [values["x"] for values in drawn] == [0.9, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert again.suggest("last") == Searcher.FINISHED


@pytest.mark.parametrize("bigger", [True, False])
def test_optuna_learns_from_ended_trials(tmp_path, bigger):
    """Also from trials before an interruption: late draws are nearer to the better end than early ones."""
    first, journal = searcher(tmp_path, "optuna", 40, None, bigger=bigger)
    for n in range(15):
        end(first, journal, str(n), first.suggest(str(n))["x"])
    again, journal = searcher(tmp_path, "optuna", 40, None, bigger=bigger)
    for n in range(15, 40):
        end(again, journal, str(n), again.suggest(str(n))["x"])
    drawn = [journal.trials[n].keys["x"] for n in range(40)]
    late, early = sum(drawn[30:]) / 10, sum(drawn[:10]) / 10
    assert late > early + 0.15 if bigger else late < early - 0.15


def test_encode_and_decode():
    space = Space(
        {"a": Domain("choice", values=([1], [2, 3])), "b": Domain("quniform", low=2, high=8, step=2, integer=True)}
    )
    values = {"a": [2, 3], "b": 4}
    assert encode(values) == {"a": "[2, 3]", "b": 4}
    assert decode(space, {"a": "[2, 3]", "b": 4.0}) == values and isinstance(
        decode(space, {"a": "[1]", "b": 4.0})["b"], int
    )
