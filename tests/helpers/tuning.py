"""Shared by the tests of searches: settings, an objective without a model, and a trial log."""

import time

from ray import cloudpickle

from recbole_llmfashion.tuning.objective import END, STEP, VALUE
from recbole_llmfashion.tuning.searcher import SearchSettings
from recbole_llmfashion.tuning.trial_log import FAILED, FINISHED, STOPPED, TrialLog


def settings(**changed):
    base = {
        "method": "random", "num_samples": 4, "steps": 4, "grace_period": 0, "reduction_factor": 2, "bigger": True,
        "cpus": 1, "gpus": 0, "seed": 0,
    }  # fmt: skip
    return SearchSettings(**{**base, **changed})


def rising(values, steps=4, pause=0.0):
    """An objective whose value is x times the step; its last report is like run_trial's."""
    from ray import tune

    for step in range(1, steps + 1):
        time.sleep(pause)
        tune.report({STEP: step, VALUE: values["x"] * step})
    tune.report({STEP: steps + 1, VALUE: values["x"] * steps, END: {"threads": 1}})


def by_value(module):
    """Pickles a test module's definitions by value, as workers cannot import it."""
    cloudpickle.register_pickle_by_value(module)


def hand_written_log(folder):
    """A log of five trials: 0 and 3 finished, 1 was stopped, 2 failed, 4 did not end."""
    log = TrialLog(folder / "journal.jsonl")
    log.add("start", 0, keys={"learning_rate": 0.001, "train_targets": "all"})
    log.add("report", 0, step=1, value=0.01)
    log.add("start", 1, keys={"learning_rate": 0.01, "train_targets": "purchase"})
    log.add("report", 1, step=1, value=0.04)
    log.add("report", 0, step=2, value=0.02)
    details = {"valid": {"ndcg@10": 0.02}, "threads": 1, "stages_reused": ["clip"]}
    log.add("end", 0, status=FINISHED, value=0.02, seconds=90.0, details=details)
    log.add("end", 1, status=STOPPED, value=0.04, seconds=30.0, details={})
    log.add("start", 2, keys={"learning_rate": 0.1, "train_targets": "all"})
    log.add("end", 2, status=FAILED, value=float("nan"), seconds=6.0, details={"error": "ValueError: no"})
    log.add("start", 3, keys={"learning_rate": 0.003, "train_targets": "all"})
    log.add("report", 3, step=1, value=0.03)
    log.add("end", 3, status=FINISHED, value=0.03, seconds=60.0, details={"valid": {"ndcg@10": 0.03}})
    log.add("start", 4, keys={"learning_rate": 0.002, "train_targets": "all"})
    return log
