"""Several changes at once are the same changes one by one, and the lists are built once."""

import pandas as pd
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving import next_items
from recbole_llmfashion.serving.next_items import ChangeError
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.jobs import JOBS

SEARCH = {"action": "search", "query": "red winter boots", "timestamp": 1_700_000_000.0}


def frame(**titles):
    return pd.DataFrame({"item_id": list(titles), "title": list(titles.values()), "color": "red"})


def changes_of(known):
    """Where the order counts: nearest titles, words of few items, a removed item with another title."""
    return [
        frame(N1="Zephyr Quilted Snow Clog"),
        frame(N2="Zephyr Quilted Snow Boot", N3="Red Winter Boots"),
        list(known[:40]),
        ["N1"],
        frame(N4="Zephyr Quilted Snow Clog"),
        frame(N1="Red Winter Boots", **{known[3]: "Quilted Blue Sandals"}),
        ["N3"],
    ]


def lists(recommender):
    ids = recommender.state.pool.catalogue.item_ids
    clicks = [[{"action": "click", "item_id": item, "timestamp": 5}] for item in ("N1", "N3", ids[3], ids[60])]
    return [recommender.recommend(actions, 100, explain=True) for actions in ([SEARCH], [], *clicks)]


@pytest.mark.parametrize("name", JOBS)
def test_changes_at_once_are_those_one_by_one(name, request, monkeypatch):
    run = request.getfixturevalue(name).run
    one_by_one, at_once = Recommender.from_pretrained(run), Recommender.from_pretrained(run)
    changes = changes_of(one_by_one.state.pool.catalogue.item_ids)
    for change in changes:
        if isinstance(change, pd.DataFrame):
            one_by_one.add_items(change)
        else:
            one_by_one.remove_items(change)
    built, state = [], next_items.ServingState
    monkeypatch.setattr(next_items, "ServingState", lambda *values: built.append(state(*values)) or built[-1])
    at_once.change_items(changes)
    assert built == [at_once.state] and lists(at_once) == lists(one_by_one)
    rows = [recommender._run.model.get_input_embeddings().weight for recommender in (at_once, one_by_one)]
    assert rows[0].shape == rows[1].shape and bool((rows[0] == rows[1]).all())


def test_a_change_that_fails_leaves_those_before_it(recommender):
    before = recommender.state
    with pytest.raises(ChangeError) as error:
        recommender.change_items([frame(N1="Clog"), ["unknown"], frame(N2="Clog")])
    assert error.value.made == 1 and str(error.value.__cause__).startswith("remove: no item 'unknown'")
    assert set(recommender.state.pool.positions) - set(before.pool.positions) == {"N1"}
    now = recommender.state
    with pytest.raises(ChangeError):
        recommender.change_items([["unknown"]])
    recommender.change_items([])
    assert recommender.state is now


def test_lists_that_cannot_be_built_change_nothing(text_recommender):
    before = text_recommender.state
    with pytest.raises(UserError, match="max_new_tokens"):
        text_recommender.change_items([frame(N1="Clog"), frame(**{"N" * 5000: "x"})])
    assert text_recommender.state is before
