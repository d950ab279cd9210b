"""A start with a journal of many lines gives the lists of the copy that wrote them, and builds lists once."""

import pytest

from recbole_llmfashion.serving import next_items
from recbole_llmfashion.serving.messages import RecommendRequest
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.serving.web.item_changes import ItemChangeLog
from recbole_llmfashion.serving.web.journal import Change
from recbole_llmfashion.serving.web.replica import ReplicaWorker

SEARCH = [{"action": "search", "query": "red winter boots", "timestamp": 1_700_000_000.0}]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.jsonl"


def worker(job, path):
    recommender = Recommender.from_pretrained(job.run)
    return ReplicaWorker(recommender, ItemChangeLog(path, recommender.run_digest))


def test_a_replay_of_many_lines(job, path, monkeypatch):
    running = worker(job, path)
    for number in range(4):
        added = Change(add=({"item_id": f"N{number}", "title": f"Zephyr Quilted Snow Clog {number}"},))
        assert running.change(added) is None and running.change(Change(remove=(added.add[0]["item_id"],))) is None
        assert running.change(added) is None
    built, state = [], next_items.ServingState
    monkeypatch.setattr(next_items, "ServingState", lambda *values: built.append(1) or state(*values))
    restarted = worker(job, path)
    assert len(built) == 1 and restarted.started.endswith("12 changes were replayed")
    requests = [RecommendRequest(actions, 300, None, True) for actions in (SEARCH, [])]
    assert restarted.recommend(requests) == running.recommend(requests)
