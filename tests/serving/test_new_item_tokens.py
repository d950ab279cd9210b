"""Tokens and initial embeddings of items that are added after training."""

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.prompt.item_tokens import (
    atomic_tokens,
    more_atomic_tokens,
    more_semantic_tokens,
    semantic_tokens,
)
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.serving.session import make_session
from tests.helpers.jobs import JOBS

SEARCH = {"action": "search", "query": "red winter boots", "timestamp": 1_700_000_000.0}
TWINS = pd.DataFrame({"item_id": ["NEW1", "NEW2"], "title": ["Red Winter Boots"] * 2, "color": ["red", "red"]})


def ids(index):
    return [tokens.tolist() for tokens in index.ids]


def test_more_atomic_tokens():
    index = atomic_tokens(np.asarray([1, 0]), 50, key="k")
    more = more_atomic_tokens(more_atomic_tokens(index, 2), 1)
    assert ids(more) == [[51], [50], [52], [53], [54]]
    assert (more.first, more.new_tokens, more.key, ids(index)) == (50, 5, "k", [[51], [50]])


def test_more_semantic_tokens_disambiguate_equal_codes():
    index = semantic_tokens(np.asarray([[1, 2], [1, 2], [3, 2]]), np.asarray([0, 1, 2]), 100)
    assert ids(index) == [[101, 166, 228], [101, 166, 229], [103, 166, 228]] and index.new_tokens == 130
    more = more_semantic_tokens(index, np.asarray([[3, 2], [1, 2], [0, 0]]))
    assert ids(more)[3:] == [[103, 166, 229], [101, 166, 230], [100, 164, 228]]
    assert more.new_tokens == 131 and more_semantic_tokens(more, np.asarray([[0, 0]])).new_tokens == 131


def rows(recommender):
    model = recommender._run.model
    tables = [layer.weight for layer in (model.get_input_embeddings(), model.get_output_embeddings())]
    assert tables[0].data_ptr() == tables[1].data_ptr() or bool((tables[0] == tables[1]).all())
    return tables[0].detach().clone()


def reply(state):
    return state.replies([make_session([SEARCH], state.pool.positions)], ResponseStats())[0]


def test_embedding_of_an_added_item_comes_from_its_words(job):
    recommender = Recommender.from_pretrained(job.run)
    run, state, before = recommender._run, recommender._state, rows(recommender)
    first, answer = run.item_tokens.first, reply(state)
    assert len(before) == first + 300
    recommender.add_items(TWINS)
    after = rows(recommender)
    assert ids(recommender._state.item_tokens)[300:] == [[first + 300], [first + 301]] and len(after) == first + 302
    assert bool((after[: first + 300] == before).all()) and bool((after[-1] == after[-2]).all())
    assert float(after[-1].norm()) == pytest.approx(run.row_norm, rel=1e-5)
    words = set(recommender._state.item_tokens.words[300].tolist())
    likest = (before[:first] @ after[-1] / before[:first].norm(dim=1).clamp(min=1e-9)).topk(2).indices.tolist()
    assert set(likest) <= words
    again = reply(state)  # an older state gives the same reply
    assert np.array_equal(again.ranked.order, answer.ranked.order) and again.response.text == answer.response.text


def test_tokens_are_never_reused(job):
    recommender = Recommender.from_pretrained(job.run)
    first, known = recommender._run.item_tokens.first, recommender._state.pool.catalogue.item_ids
    trained = rows(recommender)
    recommender.add_items(TWINS)
    recommender.remove_items(["NEW1", known[4]])
    recommender.add_items(pd.DataFrame({"item_id": ["NEW3"], "title": ["Blue Sandals"]}))
    other = rows(recommender)
    recommender.add_items(pd.DataFrame({"item_id": ["NEW1", known[4]], "title": ["Blue Sandals", "Blue Sandals"]}))
    tokens, now = recommender._state.item_tokens.ids, rows(recommender)
    assert [tokens[i].tolist() for i in (300, 301, 302)] == [[first + 300], [first + 301], [first + 302]]
    assert tokens[4] == recommender._run.item_tokens.ids[4] and len(now) == first + 303
    assert bool((now[: first + 300] == trained).all())  # trained rows do not change
    assert not np.allclose(now[first + 300], other[first + 300]) and bool(
        (now[first + 301] == other[first + 301]).all()
    )


@pytest.mark.parametrize("name", JOBS)
def test_only_added_items_are_generated(name, request):
    """With all other items removed, the response and the beams are the added items, for each kind of item token."""
    recommender = Recommender.from_pretrained(request.getfixturevalue(name).run)
    known = recommender._state.pool.catalogue.item_ids
    recommender.add_items(TWINS)
    recommender.add_items(pd.DataFrame({"item_id": ["NEW3"], "title": ["Blue Sandals"]}))
    recommender.remove_items(known)
    lines = recommender.recommend([SEARCH], 3, explain=True)
    new = {"NEW1", "NEW2", "NEW3"}
    assert {line.item for line in lines} == new
    assert lines[0].response.removeprefix(" product ID: ").split(",")[0] in new
    clicks = [{"action": "click", "item_id": item, "timestamp": 5} for item in ("NEW2", known[0])]
    prompt = recommender.recommend(clicks, 1, explain=True)[0].prompt
    assert f"click {known[0]}" in prompt and "click NEW2" in prompt
    state = recommender._state
    beams = state.response_cache([reply(state).prompt.ids])[0].items
    assert sorted(beams) == ([] if name == "text_job" else [0, 1, 2])


def test_codes_of_added_items_come_from_their_titles(semantic_job):
    recommender = Recommender.from_pretrained(semantic_job.run)
    run, state, before = recommender._run, recommender._state, rows(recommender)
    answer = reply(state)
    crowd = int(np.argmax([tokens[3] for tokens in run.item_tokens.ids]))  # the last item of the most frequent codes
    twins = pd.DataFrame({"item_id": ["NEW1", "NEW2"], "title": [state.pool.catalogue.titles[crowd]] * 2})
    recommender.add_items(twins)
    tokens, after = [ids.tolist() for ids in recommender._state.item_tokens.ids], rows(recommender)
    *codes, last = tokens[crowd]
    assert tokens[300:] == [[*codes, last + 1], [*codes, last + 2]] and last == len(before) - 1
    assert len(after) == len(before) + 2 and bool((after[:-2] == before).all())
    assert after[-2:].norm(dim=1).tolist() == pytest.approx([run.row_norm] * 2, rel=1e-5)
    assert reply(state).response.text == answer.response.text
