"""What the tests of a search share: an objective that needs no model, settings, and how code reaches a worker."""

import time

from ray import cloudpickle

from recbole_llmfashion.tuning.objective import END, STEP, VALUE
from recbole_llmfashion.tuning.searcher import SearchSettings


def settings(**changed):
    base = {
        "method": "random", "num_samples": 4, "steps": 4, "grace_period": 0, "reduction_factor": 2, "bigger": True,
        "cpus": 1, "gpus": 0, "seed": 0,
    }  # fmt: skip
    return SearchSettings(**{**base, **changed})


def rising(values, steps=4, pause=0.0):
    """An objective whose value is x times the step; it ends as run_trial does."""
    from ray import tune

    for step in range(1, steps + 1):
        time.sleep(pause)
        tune.report({STEP: step, VALUE: values["x"] * step})
    tune.report({STEP: steps + 1, VALUE: values["x"] * steps, END: {"threads": 1}})


def by_value(module):
    """Workers cannot import a test module, so what it defines travels as code."""
    cloudpickle.register_pickle_by_value(module)
