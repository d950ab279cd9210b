"""What a service answers after its items have changed, on a run of six items."""

from types import SimpleNamespace

import pytest

from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.serving.state import ServingState
from tests.helpers.sessions import sessions

SEARCH = {"action": "search", "query": "red boots", "timestamp": 1_702_000_000.0}


@pytest.fixture
def tiny(tiny_run):
    return Recommender.from_pretrained(tiny_run)


@pytest.fixture
def evaluated(tiny_run):
    """The sessions of the test rows, whose responses the run holds."""
    return list(sessions(tiny_run.parents[3] / "tiny").values())


def named(line):
    """The item of a raw response."""
    return line.response.removeprefix(" product ID: ").split(",")[0]


def test_nothing_of_a_removed_item_is_left(tiny, evaluated):
    """It is neither listed nor generated nor recalled, also where the evaluation's stored response names it."""
    before = [tiny.recommend(actions, 6, now=now, explain=True) for actions, now in evaluated]
    gone = {named(lines[0]) for lines in before} | {"11"}
    kept = [line.item for line in before[0] if line.item not in gone]
    assert kept
    tiny.remove_items(gone)
    for (actions, now), old in zip(evaluated, before, strict=True):
        lines = tiny.recommend(actions, len(kept), now=now, explain=True)
        assert sorted(line.item for line in lines) == sorted(kept) and named(lines[0]) in kept
        assert named(lines[0]) != named(old[0])
    state = tiny.state
    assert [state.pool.catalogue.item_ids[item] for item in state.live] == [
        item for item in state.pool.catalogue.item_ids if item in kept
    ]
    recalled = state.memory.top_products("red boots") if state.memory is not None else []
    assert not gone & {state.pool.catalogue.item_ids[item] for item in recalled}
    assert {state.pool.catalogue.item_ids[item] for item in state.search("red boots", 6)} == set(kept)


def test_the_products_of_the_memory_are_found_behind_removed_items(tiny):
    """Positions of the catalogue are places among the live items, here one less."""
    ids = tiny.state.pool.catalogue.item_ids
    assert [ids[item] for item in tiny.state.search("red boots", 2)] == ["11", "12"]
    tiny.remove_items(["16"])  # the first of the catalogue
    assert [ids[item] for item in tiny.state.search("red boots", 2)] == ["11", "12"]
    reply = tiny.explain([SEARCH]).reply
    assert reply.context.recalled.tolist() == [[1, 2]]


def test_queries_of_one_user_are_not_recalled_on_request(tiny_run, tiny):
    assert tiny.memory_queries == (1, 1) and tiny.state.memory is not None
    filtered = Recommender.from_pretrained(tiny_run, min_askers=2)
    assert filtered.memory_queries == (0, 0) and filtered.state.memory is None


@pytest.mark.parametrize(("kind", "own"), [("flat", True), ("flat", False), ("ivf", True), ("ivf", False)])
def test_an_index_is_for_the_items_that_it_was_built_of(kind, own):
    pool = object()
    state = ServingState.__new__(ServingState)
    state.run = SimpleNamespace(ann_index=kind, pool=pool, near=lambda name: f"index of {name}")
    state.pool = pool if own else object()
    assert state._near("title") == ("index of title" if own or kind == "flat" else None)
