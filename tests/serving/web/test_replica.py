"""What was added and removed holds for every replica, a new one too, whatever was killed while it wrote."""

import json
import threading
from types import SimpleNamespace

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import ErrorReply, RecommendRequest
from recbole_llmfashion.serving.web.item_changes import Change, ItemChangeLog
from recbole_llmfashion.serving.web.replica import ReplicaWorker
from tests.helpers.service import Shop

RUN = "digest"


def add(*items):
    return Change(add=tuple({"item_id": item, "title": item} for item in items))


def remove(*items):
    return Change(remove=items)


def clerk(path, *items):
    return ReplicaWorker(Shop(*items), ItemChangeLog(path, RUN))


def served(one, k=1):
    (answer,) = one.answer([RecommendRequest([], k)])
    return [line.item for line in answer.listed.lines]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.jsonl"


def test_a_batch_in_order_with_a_wrong_one_in_it():
    answers = ReplicaWorker(Shop("a", "b"), None).answer(
        [RecommendRequest([], 2), RecommendRequest([], 3), RecommendRequest([], 1)]
    )
    assert [line.item for line in answers[0].listed.lines] == ["a", "b"] and answers[0].batch == 3
    assert answers[1] == ErrorReply("k: 3 is more than the 2 items; ask for fewer")
    assert [line.item for line in answers[2].listed.lines] == ["a"]


def test_a_change_holds_at_once_for_every_replica_and_for_one_that_comes_back(path):
    one, two = clerk(path, "b", "c"), clerk(path, "b", "c")
    assert one.change(add("a")) is None and served(two) == ["a"]
    assert two.change(remove("a", "b")) is None and served(one) == ["c"]
    assert one.change(add("b")) is None
    assert served(two, 2) == served(clerk(path, "b", "c"), 2) == ["b", "c"]
    assert one.change(add("a1")) is None and served(clerk(path, "b", "c"), 3) == ["a1", "b", "c"]


def test_a_change_is_judged_by_what_the_others_did(path):
    one, two = clerk(path, "b"), clerk(path, "b")
    assert one.change(add("a")) is None
    assert two.change(add("a")) == ErrorReply("add: is there already")


def test_what_is_refused_or_fails_is_not_written(path):
    one, before = clerk(path, "b"), path.read_bytes()
    assert one.change(remove("z")) == ErrorReply("remove: no item") and path.read_bytes() == before
    one._recommender.add_items = lambda frame: 1 / 0
    with pytest.raises(ZeroDivisionError):
        one.change(add("a"))
    assert path.read_bytes() == before and one.change(remove("b")) is None
    assert path.read_text().splitlines()[1:] == ['{"remove": ["b"]}']


def test_a_change_killed_half_way_is_made_by_who_comes_back_and_half_a_line_by_nobody(path):
    one = clerk(path, "b")

    class Killed(BaseException):
        pass

    def killed(change):
        raise Killed

    one._journal.take_back = lambda change: None  # a killed process takes nothing back
    one._make = killed
    with pytest.raises(Killed):
        one.change(add("a"))
    assert served(clerk(path, "b")) == ["a"]
    with path.open("a") as stream:
        stream.write('{"remove": ["a"')
    back = clerk(path, "b")
    assert served(back) == ["a"]
    assert back.change(remove("a")) is None and served(back) == served(clerk(path, "b")) == ["b"]
    assert [json.loads(line) for line in path.read_text().splitlines()][2] == {"remove": ["a"]}


def test_many_writers_lose_nothing(path):
    clerks = [clerk(path, "b") for _ in range(4)]

    def work(number, one):
        for i in range(5):
            assert one.change(add(f"a{number}{i}")) is None

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(clerks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = served(clerk(path, "b"), 21)
    assert len(everything) == 21 and all(served(one, 21) == everything for one in clerks)


def test_a_journal_of_another_run_a_broken_one_and_one_that_shrank(path, tmp_path):
    one = clerk(path, "b")
    with pytest.raises(UserError, match="belongs to another run"):
        ItemChangeLog(path, "other")
    assert one.change(add("a")) is None
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(UserError, match="shorter than it was"):
        served(one)
    path.write_text("{broken\n")
    with pytest.raises(UserError, match="not readable"):
        ItemChangeLog(path, RUN)
    with pytest.raises(UserError, match="cannot be written"):
        ItemChangeLog(tmp_path, RUN)


def test_reading_takes_no_lock_while_nothing_is_new(path):
    one = clerk(path, "b")
    one._journal._lock = SimpleNamespace(__enter__=None)
    assert served(one) == ["b"]
