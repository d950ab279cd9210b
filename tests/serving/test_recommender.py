"""Served lists equal evaluated lists; added and removed items take effect at once."""

import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.response_cache import prompt_key
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.retrieval.ranking import FUSED
from recbole_llmfashion.serving.messages import RecommendRequest
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.jobs import JOBS
from tests.helpers.sessions import read, sessions

SEARCH = {"action": "search", "query": "red winter boots", "timestamp": 1_700_000_000.0}


def items(lines):
    return [line.item for line in lines]


def answer_with(recommender, text, beams=()):
    """Makes the model return this response to every prompt; beams are positions among the live items."""
    response = Response(text, np.asarray(beams, np.int64))
    recommender._state.response_cache = lambda prompts: [response] * len(prompts)


def ranking_by(recommender, **mixing):
    """Changes the ranking settings of the run."""
    recommender._state.run = replace(
        recommender._run, ranking_settings=replace(recommender._run.ranking_settings, **mixing)
    )


@pytest.mark.parametrize("regenerated", [False, True])
@pytest.mark.parametrize("name", JOBS)
def test_lists_equal_the_evaluation(name, regenerated, request):
    """With the stored responses of the evaluation, and generated again one by one."""
    job = request.getfixturevalue(name)
    recommender = Recommender.from_pretrained(job.run)
    if regenerated:
        recommender._state.response_cache._cached.clear()
    requests = sessions(job.data)
    assert len(job.ranks) > 10
    for user, row in job.ranks.iterrows():
        actions, now = requests[user]
        served = recommender.recommend(actions, 10, now=now)
        assert items(served) == row["top"].tolist(), user
        assert [line.score for line in served] == [300.0 - place for place in range(10)]
    assert recommender.counts["sessions"] == recommender.counts["answers"] == len(job.ranks)


def test_new_session_with_one_action(job, recommender):
    for action in (SEARCH, {"action": "click", "item_id": job.ranks["top"].iloc[0][0], "timestamp": 1.0}):
        lines = recommender.recommend([action], explain=True)
        assert len(set(items(lines))) == 10 and {line.list for line in lines} <= set(FUSED)
        assert all(line.response.startswith(" product ID:") and line.prompt.endswith("\nbuy") for line in lines)
        assert lines == recommender.recommend([action], explain=True)
    assert "red winter boots" in recommender.recommend([SEARCH], explain=True)[0].prompt
    assert recommender.recommend([SEARCH])[0].prompt is None


def test_empty_and_unknown_sessions_get_popular_items(job, recommender):
    popular = items(recommender.recommend([]))
    rows = read(job.data / "shoes.inter")
    last = {row["user_id"]: i for i, row in enumerate(rows)}
    pool = recommender._state.pool
    assert pool.popularity.sum() < len(rows) - len(last) + 1  # test targets are not counted
    counts = pool.popularity[[pool.positions[item] for item in popular]]
    assert counts.tolist() == sorted(pool.popularity, reverse=True)[:10]
    unknown = recommender.recommend([{"action": "click", "item_id": "no such item", "timestamp": 5}])
    assert items(unknown) == popular and {line.list for line in unknown} == {"popularity"}
    assert recommender.counts["unknown_items"] == 1 and recommender.counts["empty_sessions"] == 2


def test_source_list_of_each_item(recommender):
    ids = recommender._state.pool.catalogue.item_ids
    weights = {"beams": 2.0, "id": 1.0, "title": 0.0, "session": 1.5, "memory": 0.5}
    ranking_by(recommender, weights={"new": weights, "known": weights})
    answer_with(recommender, f" product ID: {ids[9]}, title: x", [7, 8])
    lines = recommender.recommend([{"action": "click", "item_id": ids[5], "timestamp": 5}], 300)
    lists = {line.item: line.list for line in lines}
    assert (lists[ids[7]], lists[ids[8]]) == ("beams", "beams")  # 2 / 11 and 2 / 12
    assert lists[ids[5]] == "session" and lists[ids[9]] in ("id", "session")  # 1.5 / 11; 1 / 11
    assert set(lists.values()) == {"beams", "session", "id", "title"}
    recalled = [ids[position] for position in recommender._state.memory.top_products("red winter boots")]
    answer_with(recommender, "no answer")
    lines = recommender.recommend([SEARCH], 300)
    assert items(lines)[: len(recalled)] == recalled and lines[0].list == "memory" and lines[-1].list == "popularity"
    ranking_by(recommender, ranking="beams")
    answer_with(recommender, "no answer", [3, 1, 2])
    lines = recommender.recommend([{"action": "click", "item_id": ids[5], "timestamp": 5}], 4)
    assert items(lines)[:3] == [ids[3], ids[1], ids[2]]
    assert [line.list for line in lines] == ["beams", "beams", "beams", "popularity"]


@pytest.mark.slow
def test_mask_history(run_job):
    """Responses sampled from random weights are mostly invalid, so the fallbacks are covered as well."""
    random = {"llm_name_or_path": "tiny-falcon-untrained", "decoding": "sample", "response_title": "generated"}
    masked = run_job("masked", "LLMFashionRec,SeqKNN", mask_history=True, ranking="mixup", **random)
    ranks, requests = masked.all_ranks, sessions(masked.data)
    for row in ranks.itertuples():
        assert not {action.get("item_id") for action in requests[row.user][0]} & set(row.top), (row.model, row.user)
    run = Recommender.from_pretrained(masked.run)
    lists = set()
    for row in ranks[ranks["model"] == "LLMFashionRec"].itertuples():
        served = run.recommend(requests[row.user][0], now=requests[row.user][1])
        assert items(served) == row.top.tolist(), row.user
        lists |= {line.list for line in served}
    assert {"memory", "popularity"} <= lists
    with pytest.raises(UserError, match=r"k: 300 is more than the 300 items, 1 of them excluded because"):
        run.recommend([{"action": "click", "item_id": ranks["target"].iloc[0], "timestamp": 5}], 300)


def test_k_up_to_the_catalogue(recommender):
    everything = recommender.recommend([SEARCH], 300)
    assert len(set(items(everything))) == 300 and everything[-1].score == 1.0
    for k in (301, 0, -1, 2.0, True, "10", None):
        with pytest.raises(UserError, match="k: "):
            recommender.recommend([SEARCH], k)


def test_added_item(text_recommender):
    recommender = text_recommender
    frame = pd.DataFrame([{"item_id": "NEW1", "title": "Zephyr Quilted Snow Clog", "color": "teal", "brand": None}])
    recommender.add_items(frame)
    answer_with(recommender, " product ID: NEW1, title: whatever")
    assert recommender.recommend([SEARCH])[0].item == "NEW1"
    answer_with(recommender, " product ID: unknown, title: Zephyr Quilted Snow Clog")
    first = recommender.recommend([{"action": "click", "item_id": "NEW1", "timestamp": 9}], explain=True)[0]
    assert (first.item, first.title, first.list) == ("NEW1", "Zephyr Quilted Snow Clog", "title")
    assert "NEW1 | Zephyr Quilted Snow Clog | color: teal" in first.prompt and first.score == 301.0


def test_only_live_items_are_generated(job, recommender):
    """With three items left, constrained decoding generates one of their ids."""
    kept = recommender._state.pool.catalogue.item_ids[:3]
    recommender.remove_items(recommender._state.pool.catalogue.item_ids[3:])
    for actions, now in list(sessions(job.data).values())[:5]:
        lines = recommender.recommend(actions, 3, now=now, explain=True)
        assert set(items(lines)) == set(kept)
        assert lines[0].response.removeprefix(" product ID: ").split(",")[0] in kept
    assert recommender.counts["valid_id"] == recommender.counts["answers"] == 5
    with pytest.raises(UserError, match="no item would be left"):
        recommender.remove_items(kept)


def test_removed_items_are_not_recommended_but_still_read(job, recommender):
    actions, now = sessions(job.data)[job.ranks.index[0]]
    before = recommender.recommend([*actions, SEARCH | {"timestamp": now}], 10, explain=True)
    recalled = recommender._state.memory.top_products("red winter boots")
    ids = recommender._state.pool.catalogue.item_ids
    gone = {*items(before), *(ids[position] for position in recalled)}
    recommender.remove_items(gone)
    assert before[0].prompt.count("\n-") == 5 < len(recalled)
    after = recommender.recommend([*actions, SEARCH | {"timestamp": now}], 300 - len(gone), explain=True)
    assert not gone & set(items(after))
    again = recommender._state.memory.top_products("red winter boots")
    assert len(again) > 5 and not set(again) & set(recalled)
    clicked = next(iter(gone))
    line = recommender.recommend([{"action": "click", "item_id": clicked, "timestamp": 5}], explain=True)[0]
    assert f"click {clicked} |" in line.prompt and "unknown_items" not in recommender.counts


def test_removed_item_added_again_with_another_title(text_job, text_recommender):
    recommender, item = text_recommender, text_job.ranks["top"].iloc[0][0]
    recommender.remove_items([item])
    with pytest.raises(UserError, match=f"no item '{item}'; it was removed before"):
        recommender.remove_items([item])
    recommender.add_items(pd.DataFrame([{"item_id": item, "title": "Now Something Else", "size": 7}]))
    answer_with(recommender, f" product ID: {item}, title: x")
    line = recommender.recommend([{"action": "click", "item_id": item, "timestamp": 5}], explain=True)[0]
    assert (line.item, line.title, line.score) == (item, "Now Something Else", 300.0)
    assert f"{item} | Now Something Else | size: 7" in line.prompt


@settings(max_examples=8)
@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 11), min_size=1, max_size=6)), max_size=4))
def test_any_sequence_of_changes(served, steps):
    recommender, known = served
    start = recommender._state
    there = set(known)
    try:
        for add, numbers in steps:
            named = {f"N{number}" if number < 6 else known[number] for number in numbers}
            if add and named - there:
                new = sorted(named - there)
                recommender.add_items(pd.DataFrame({"item_id": new, "title": [f"boots {item}" for item in new]}))
                there |= named
            elif not add and named & there:
                recommender.remove_items(sorted(named & there))
                there -= named
            got = items(recommender.recommend([SEARCH], len(there)))
            assert len(got) == len(there) and set(got) == there
            assert set(items(recommender.recommend([]))) <= there
    finally:
        recommender._state = start


@settings(max_examples=8)
@given(st.lists(st.integers(0, 299), min_size=1, max_size=4), st.sets(st.integers(0, 299), max_size=40))
def test_lists_after_a_removal_are_those_before_without_the_removed_items(served, clicked, others):
    """Of the clicked items the first is removed."""
    recommender, known = served
    start, gone = recommender._state, {clicked[0]} | others
    actions = [{"action": "click", "item_id": known[item], "timestamp": 5 + i} for i, item in enumerate(clicked)]
    before = heads(recommender, actions)
    try:
        recommender.remove_items(known[item] for item in gone)
        after = heads(recommender, actions)
    finally:
        recommender._state = start
    for name, head in after.items():
        kept = [item for item in before[name] if item not in gone]
        assert head[: len(kept)] == kept and not set(head) & gone, name
        assert len(head) >= min(100, 300 - len(gone)) or name in ("neighbors", "words", "taken")


def heads(recommender, actions):
    """The lists of what a customer took, catalogue positions by name."""
    reply = recommender.explain(actions).reply
    found = reply.lists.heads(["session", "neighbors", "words", "taken"])
    return {name: [int(reply.live[at]) for at in head[0].tolist() if at >= 0] for name, head in found.items()}


@pytest.fixture(scope="module")
def served(job):
    """One recommender for many examples; each restores the items."""
    recommender = Recommender.from_pretrained(job.run)
    return recommender, recommender._state.pool.catalogue.item_ids


def test_concurrent_calls_see_the_items_before_or_after_a_change(recommender):
    ids = recommender._state.pool.catalogue.item_ids
    errors, sizes = [], set()

    def ask():
        try:
            for _ in range(3):
                sizes.add(recommender.recommend([SEARCH])[0].score)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    recommender.remove_items(ids[:150])
    for thread in threads:
        thread.join()
    assert not errors and sizes <= {300.0, 150.0}
    assert not set(items(recommender.recommend([SEARCH], 150))) & set(ids[:150])


BAD_FRAMES = [
    ([{"item_id": "N1"}], "columns item_id and title"),
    ([], "columns item_id and title"),
    ([{"item_id": "", "title": "x"}], "row 1: expected an item_id"),
    ([{"item_id": "a b", "title": "x"}], "without white space or comma"),
    ([{"item_id": "a,b", "title": "x"}], "without white space or comma"),
    ([{"item_id": "N1", "title": "x"}, {"item_id": "N1", "title": "y"}], "row 2: item 'N1' again"),
    ([{"item_id": "N1", "title": "  "}], "has no title"),
    ([{"item_id": "N1", "title": np.nan}], "has no title"),
    ([{"item_id": "N1", "title": ["x"]}], "expected texts"),
    ([{"item_id": "N\ud800", "title": "x"}], "not valid Unicode"),
]


@pytest.mark.parametrize(("rows", "message"), BAD_FRAMES)
def test_invalid_items_change_nothing(served, rows, message):
    recommender, _ = served
    before = recommender._state
    with pytest.raises(UserError, match=message) as error:
        recommender.add_items(pd.DataFrame(rows))
    assert "\n" not in str(error.value) and recommender._state is before


def test_id_longer_than_a_response(text_recommender):
    before = text_recommender._state
    with pytest.raises(UserError, match="max_new_tokens"):
        text_recommender.add_items(pd.DataFrame([{"item_id": "N" * 5000, "title": "x"}]))
    assert text_recommender._state is before


def test_add_existing_and_remove_unknown_items(served):
    recommender, known = served
    before = recommender._state
    with pytest.raises(UserError, match=f"item '{known[0]}' exists"):
        recommender.add_items(pd.DataFrame({"item_id": ["N1", known[0]], "title": ["x", "y"]}))
    with pytest.raises(UserError, match=f"no item '{known[0]}x'; did you mean '{known[0]}'"):
        recommender.remove_items([known[1], f"{known[0]}x"])
    with pytest.raises(UserError, match="a list of item ids"):
        recommender.remove_items(known[0])
    assert recommender._state is before


def test_title_with_separators_and_special_tokens(text_recommender):
    recommender = text_recommender
    title = "a\nbuy | <|endoftext|>\tproduct ID: X, title: y " + " " * 100_000 + "z"
    recommender.add_items(pd.DataFrame({"item_id": ["N|1"], "title": [title], "brand": ["\x00\n|"]}))
    line = recommender.recommend([{"action": "click", "item_id": "N|1", "timestamp": 5}], explain=True)[0]
    assert line.prompt.count("\nbuy") == 1 and line.prompt.count("\nclick") == 1


@pytest.mark.parametrize("decoding", ["constrained", pytest.param("sample", marks=pytest.mark.slow)])
def test_batch_equals_single_calls(job, recommender, decoding):
    """Without the stored responses, with prompts of different lengths."""
    if decoding == "sample":
        run = recommender._run
        sampled = replace(run.decoding, decoding="sample", response_title="generated", temperature=1.5)
        recommender = Recommender(replace(run, decoding=sampled))
    recommender._state.response_cache._cached.clear()
    requests = [
        RecommendRequest(actions, 5 + i, now, explain=True)
        for i, (actions, now) in enumerate(sessions(job.data).values())
    ]
    together = recommender.recommend_many(requests[:6])
    assert len({response.lines[0].prompt for response in together}) == 6
    assert [response.lines for response in together] == [
        recommender.recommend(ask.actions, ask.k, now=ask.now, explain=True) for ask in requests[:6]
    ]


def test_left_out_counts_per_session(recommender):
    unknown = {"action": "click", "item_id": "no such item", "timestamp": 5}
    requests = [
        RecommendRequest([unknown, unknown, SEARCH]),
        RecommendRequest([SEARCH]),
        RecommendRequest([SEARCH, unknown]),
    ]
    counts = [response.left_out for response in recommender.recommend_many(requests)]
    assert counts == [{"unknown_items": 2}, {}, {"unknown_items": 1, "out_of_order": 1}]


def test_one_llm_call_per_batch(job, recommender):
    sizes, answer = [], recommender._state.response_cache
    recommender._state.response_cache = lambda prompts: (sizes.append(len(prompts)), answer(prompts))[1]
    recommender.recommend_many([RecommendRequest(actions, 5, now) for actions, now in sessions(job.data).values()])
    assert sizes == [len(job.ranks)]


def test_responses_are_assigned_to_their_sessions(job, recommender):
    """Also with an invalid and an empty session among them."""
    ids = recommender._state.pool.catalogue.item_ids
    ranking_by(recommender, ranking="beams")
    answer = {}
    recommender._state.response_cache = lambda prompts: [
        Response(" product ID: no, title: x", np.asarray([answer.setdefault(prompt_key(prompt), len(answer))]))
        for prompt in prompts
    ]
    requests = [RecommendRequest(actions, 5, now) for actions, now in sessions(job.data).values()]
    requests[3:3] = [RecommendRequest([]), RecommendRequest([{"action": "stare"}]), RecommendRequest([SEARCH], 301)]
    together = recommender.recommend_many(requests)
    assert len(answer) == len(requests) - 3 == len(job.ranks)
    firsts = [response.lines[0].item for response in [*together[:3], *together[6:]]]
    assert firsts == list(ids[: len(firsts)])
    assert together[3].lines == recommender.recommend([], 10)
    for place in (4, 5):
        with pytest.raises(UserError) as error:
            recommender.recommend(requests[place].actions, requests[place].k)
        assert isinstance(together[place], UserError) and str(together[place]) == str(error.value)
    assert recommender.recommend_many([]) == []
