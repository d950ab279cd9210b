"""What a service answers after its items have changed, on a run of six items."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.retrieval.lists.common_users import CommonUsers
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
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


# of the catalogue 16, 11, 12, 13, 14, 15: who took 11 took 12 and 13 too, two and one of them
TAKEN = [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 3)]
# 13 looks most like 11, then 12; the others have no picture
PICTURES = np.array([[0, 0], [1, 0], [0, 1], [0.8, 0.6], [0, 0], [0, 0]], np.float32)


def lists_after(recommender, *clicked):
    """The lists of what a customer took, by name."""
    ids = recommender.state.pool.catalogue.item_ids
    reply = recommender.explain([click(item, 5 + i) for i, item in enumerate(clicked)]).reply
    heads = reply.lists.heads(["session", "neighbors", "image", "taken"])
    return {name: [ids[reply.live[at]] for at in head[0].tolist() if at >= 0] for name, head in heads.items()}


def click(item, time):
    return {"action": "click", "item_id": item, "timestamp": time}


def test_a_click_on_a_removed_item_counts_as_before(tiny):
    """The lists are those from before, without the removed item."""
    run = tiny._run
    neighbors = NeighborList(CommonUsers.count(*np.array(TAKEN).T, 6).cosines(), run.pool.catalogue.tie_rank, 10)
    pool = replace(run.pool, image=PICTURES)
    recommender = Recommender(replace(run, pool=pool, neighbors=neighbors))
    before = lists_after(recommender, "11")
    assert before["neighbors"] == ["12", "13"] and before["taken"] == ["11"] == before["session"][:1]
    recommender.remove_items(["11"])
    after = lists_after(recommender, "11")
    assert after["neighbors"] == ["12", "13"] and after["image"] == ["13", "12"] and after["taken"] == []
    assert after["session"] == before["session"][1:]
    assert lists_after(recommender, "12")["neighbors"] == [] and lists_after(recommender, "12", "11")["taken"] == ["12"]
    lines = recommender.recommend([click("11", 5), click("12", 6)], 5)
    assert sorted(line.item for line in lines) == ["12", "13", "14", "15", "16"]
    recommender.add_items(pd.DataFrame({"item_id": ["11"], "title": ["Norda Red Winter Boots"]}))
    assert lists_after(recommender, "11") == before


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
