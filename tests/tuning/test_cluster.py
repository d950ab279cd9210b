"""A search on two nodes, one of which is lost during the search."""

import sys
import threading
import time

import pytest
import ray
from ray import tune

from recbole_llmfashion.distributed.cluster import cluster
from recbole_llmfashion.tuning.objective import END, STEP, VALUE
from recbole_llmfashion.tuning.scheduler import search
from recbole_llmfashion.tuning.space import Domain, Space
from recbole_llmfashion.tuning.trial_log import FAILED, FINISHED, TrialLog
from tests.helpers import tuning as tuning_fakes
from tests.helpers.tuning import by_value, settings

by_value(sys.modules[__name__])
by_value(tuning_fakes)
SPACE = Space({"x": Domain("choice", values=tuple(range(1, 7)))})


def slow(values):
    node = ray.get_runtime_context().get_node_id()
    for step in range(1, 5):
        time.sleep(0.3)
        tune.report({STEP: step, VALUE: values["x"] * step})
    tune.report({STEP: 5, VALUE: values["x"] * 4, END: {"node": node}})


@pytest.mark.slow
@pytest.mark.alone
def test_lost_node(head_node, tmp_path):
    lost = head_node.add_node(num_cpus=1)
    lost_id, journal = lost.node_id, TrialLog(tmp_path / "journal.jsonl")
    killed = threading.Event()

    def kill_second_node(trial):
        """Kills the second node once it has finished a trial, while it runs another."""
        if trial.details.get("node") == lost_id and not killed.is_set():
            killed.set()
            threading.Thread(target=head_node.remove_node, args=(lost, False)).start()

    with cluster(head_node.address):
        search(slow, SPACE, settings(method="grid", num_samples=6), journal, None, kill_second_node, None)
    assert killed.is_set()
    assert [trial.details for trial in journal.ended() if trial.status == FAILED] == []
    assert {trial.number: (trial.status, trial.value) for trial in journal.ended()} == {
        number: (FINISHED, (number + 1) * 4) for number in range(6)
    }
    assert {trial.details["node"] for trial in journal.ended()} > {lost_id}
