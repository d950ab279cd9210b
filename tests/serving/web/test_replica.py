"""Item changes reach every replica, also a restarted one, and survive a killed writer."""

import json
import threading

import pytest

from recbole_llmfashion.serving.messages import ErrorReply, RecommendRequest
from recbole_llmfashion.serving.web.item_changes import Change, ItemChangeLog
from recbole_llmfashion.serving.web.replica import ReplicaWorker
from tests.helpers.service import Shop

RUN = "digest"


def add(*items):
    return Change(add=tuple({"item_id": item, "title": item} for item in items))


def remove(*items):
    return Change(remove=items)


def worker(path, *items):
    return ReplicaWorker(Shop(*items), ItemChangeLog(path, RUN))


def served(one, k=1):
    (reply,) = one.recommend([RecommendRequest([], k)])
    return [line.item for line in reply.response.lines]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.jsonl"


def test_batch_with_an_invalid_request():
    replies = ReplicaWorker(Shop("a", "b"), None).recommend(
        [RecommendRequest([], 2), RecommendRequest([], 3), RecommendRequest([], 1)]
    )
    assert [line.item for line in replies[0].response.lines] == ["a", "b"] and replies[0].batch_size == 3
    assert replies[1] == ErrorReply("k: 3 is more than the 2 items; choose a smaller k")
    assert [line.item for line in replies[2].response.lines] == ["a"]


def test_a_change_reaches_running_and_restarted_replicas(path):
    one, two = worker(path, "b", "c"), worker(path, "b", "c")
    assert one.change(add("a")) is None and served(two) == ["a"]
    assert two.change(remove("a", "b")) is None and served(one) == ["c"]
    assert one.change(add("b")) is None
    assert served(two, 2) == served(worker(path, "b", "c"), 2) == ["b", "c"]
    assert one.change(add("a1")) is None and served(worker(path, "b", "c"), 3) == ["a1", "b", "c"]


def test_a_change_sees_the_changes_of_others(path):
    one, two = worker(path, "b"), worker(path, "b")
    assert one.change(add("a")) is None
    assert two.change(add("a")) == ErrorReply("add: is there already")


def test_rejected_and_failed_changes_are_not_logged(path):
    one, before = worker(path, "b"), path.read_bytes()
    assert one.change(remove("z")) == ErrorReply("remove: no item") and path.read_bytes() == before
    one._recommender.add_items = lambda frame: 1 / 0
    with pytest.raises(ZeroDivisionError):
        one.change(add("a"))
    assert path.read_bytes() == before and one.change(remove("b")) is None
    assert path.read_text().splitlines()[1:] == ['{"remove": ["b"]}']


def test_killed_while_changing(path):
    one = worker(path, "b")

    class Killed(BaseException):
        pass

    def killed(change):
        raise Killed

    one._journal.take_back = lambda change: None  # a killed process does not undo its write
    one._apply = killed
    with pytest.raises(Killed):
        one.change(add("a"))
    assert served(worker(path, "b")) == ["a"]
    with path.open("a") as stream:
        stream.write('{"remove": ["a"')
    back = worker(path, "b")
    assert served(back) == ["a"]
    assert back.change(remove("a")) is None and served(back) == served(worker(path, "b")) == ["b"]
    assert [json.loads(line) for line in path.read_text().splitlines()][2] == {"remove": ["a"]}


def test_concurrent_writers(path):
    workers = [worker(path, "b") for _ in range(4)]

    def work(number, one):
        for i in range(5):
            assert one.change(add(f"a{number}{i}")) is None

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = served(worker(path, "b"), 21)
    assert len(everything) == 21 and all(served(one, 21) == everything for one in workers)
