"""Item changes reach every replica, also a restarted one, and survive a killed writer."""

import json
import threading

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import ErrorReply, RecommendRequest
from recbole_llmfashion.serving.web.item_changes import ItemChangeLog
from recbole_llmfashion.serving.web.journal import Change, JournalError
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


def test_fields_that_the_run_does_not_have(path):
    one, before = worker(path, "b"), path.read_bytes()
    wool = Change(add=({"item_id": "a", "title": "A", "material": "wool"},))
    assert one.change(Change(add=(*wool.add, {"item_id": "c", "title": "C", "colour": ""}))) == ErrorReply(
        "items: unknown field 'colour'; an item of this run has item_id, title, color, material"
    )
    assert path.read_bytes() == before and one.change(wool) is None
    assert json.loads(path.read_text().splitlines()[1]) == {"add": list(wool.add)}


def test_killed_while_changing(path):
    one = worker(path, "b")

    class Killed(BaseException):
        pass

    def killed(change):
        raise Killed

    one._journal.take_back = lambda: None  # a killed process does not undo its write
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


def test_a_change_that_fails_loses_no_later_one_and_nothing_is_served_meanwhile(path, caplog):
    """As with too little memory: the change is tried again, those behind it wait, and no list of old items leaves."""
    one, two = worker(path, "a", "b", "c"), worker(path, "a", "b", "c")
    assert two.change(remove("a")) is None and two.change(add("d")) is None and two.change(remove("b")) is None
    remove_items, attempts = one._recommender.remove_items, []

    def fails_twice(items):
        attempts.append(items)
        if len(attempts) <= 2:
            raise MemoryError("no memory")
        remove_items(items)

    one._recommender.remove_items = fails_twice
    requests = [RecommendRequest([], 1), RecommendRequest([], 2)]
    for _ in range(2):
        replies = one.recommend(requests)
        assert [reply.unavailable for reply in replies] == [True, True] and one.broken
        assert replies[0].message == "a change of the items cannot be made; see the log of the service"
    assert caplog.text.count("the change in line 2 cannot be made (no memory)") == 1  # logged once
    assert served(one, 2) == served(two, 2) == ["c", "d"] and not one.broken and attempts[-1] == ("b",)
    assert one.change(add("b")) is None and served(two, 3) == ["b", "c", "d"]


def test_changes_whose_lists_cannot_be_built_together_are_halved(path):
    """As for an id that no list can have: those before it are made, and its line is named."""
    one, two = worker(path, "a"), worker(path, "a")
    for item in "bcdef":
        assert two.change(add(item)) is None
    make, sizes = one._recommender.change_items, []

    def only_without_e(changes):
        sizes.append(len(changes))
        if any("e" in set(change["item_id"]) for change in changes):
            raise UserError("no list can have it")
        make(changes)

    one._recommender.change_items = only_without_e
    assert one.recommend([RecommendRequest([], 1)])[0].unavailable and one.broken
    assert sizes == [5, 2, 3, 1, 2, 1] and one._recommender.there == set("abcd")
    assert "line 5" in one._logged and "(no list can have it)" in one._logged
    one._recommender.change_items = make
    assert served(one, 6) == list("abcdef") and not one.broken


def test_a_replica_that_is_behind_takes_no_change(path):
    one, two = worker(path, "a", "b"), worker(path, "a", "b")
    assert two.change(remove("a")) is None
    one._recommender.remove_items = lambda items: 1 / 0
    before = path.read_bytes()
    assert one.change(add("d")).unavailable and path.read_bytes() == before


def test_a_journal_that_is_gone_is_no_fault_of_the_replica(path, caplog):
    one = worker(path, "a", "b")
    assert one.change(remove("a")) is None
    kept = path.read_bytes()
    path.unlink()
    for reply in (*one.recommend([RecommendRequest([], 1)]), one.change(add("c"))):
        assert reply == ErrorReply("the journal of item changes is gone; see the log of the service", unavailable=True)
    assert not one.broken and not path.exists() and caplog.text.count(f"journal: {path} is gone; restore it") == 1
    path.write_bytes(kept)
    assert served(one) == ["b"] and one.change(add("c")) is None and served(one, 2) == ["b", "c"]


def test_a_start_says_what_it_replayed(path):
    one = worker(path, "a", "b")
    assert one.started == f"journal: {path}: a new file, without changes"
    assert one.change(remove("a")) is None and one.change(add("c")) is None
    assert worker(path, "a", "b").started == f"journal: {path}: 2 changes were replayed"
    with pytest.raises(UserError, match=r"journal: the change in line 2 cannot be made \(remove: no item\)") as error:
        worker(path, "b")
    assert "\n" not in str(error.value) and ReplicaWorker(Shop("a"), None).started == ""


def test_a_line_that_cannot_be_taken_back_is_made_later(path):
    one = worker(path, "a")
    add_items = one._recommender.add_items
    one._recommender.add_items = lambda frame: 1 / 0
    take_back = one._journal.take_back
    one._journal.take_back = lambda: (_ for _ in ()).throw(JournalError(path, "cannot be written", "free space"))
    assert one.change(add("b")).unavailable  # the client learns that it may still be made
    one._recommender.add_items, one._journal.take_back = add_items, take_back
    assert served(one, 2) == served(worker(path, "a"), 2) == ["a", "b"]


def test_a_change_counts_although_its_confirmation_failed(path, caplog):
    one = worker(path, "a")
    state = path.with_name("items.jsonl.state")
    state.unlink()
    state.mkdir()
    assert one.change(add("b")) is None and served(one, 2) == ["a", "b"]
    assert "items.jsonl.state cannot be written" in caplog.text
    state.rmdir()
    assert served(worker(path, "a"), 2) == ["a", "b"]
