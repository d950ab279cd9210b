"""Which list gave an item, worked by hand on six items."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.retrieval.item_order import HeadThenRest
from recbole_llmfashion.retrieval.lists.common_users import CommonUsers
from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable
from recbole_llmfashion.retrieval.lists.id_list import IdList, SessionList
from recbole_llmfashion.retrieval.lists.image_list import ImageList
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
from recbole_llmfashion.retrieval.lists.popularity_list import popular_order
from recbole_llmfashion.retrieval.lists.title_list import TitleList
from recbole_llmfashion.retrieval.lists.word_list import WordList
from recbole_llmfashion.retrieval.rankers import Rankers
from recbole_llmfashion.retrieval.ranking import FUSED, RankingSettings, ResponseLists, RowContext
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from tests.helpers.fakes import hash_encoder
from tests.helpers.orders import full_order

ITEMS = ("a", "b", "c", "d", "e", "f")
TITLES = ("red boots", "blue boots", "black sandals", "white sandals", "plain socks", "gilt clutch")
# from a by cosine: a, b (0.99), c (0.97), f (0.71), e (0.11), d (0)
TABLE = np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1], [0.1, 0.9], [0.5, 0.5]], np.float32)
TIE = tie_rank(ITEMS)
# d looks like f (.8) and a little like c (.6); the others have no picture
PICTURES = np.array([[0, 0], [0, 0], [0.6, 0.8], [1, 0], [0, 0], [0.8, -0.6]], np.float32)
# (user, item): d with b by users 0 and 1, with e by user 1; a by user 2 alone
LOG = [(0, 3), (0, 1), (1, 3), (1, 1), (1, 4), (2, 0)]
ANSWERS = [
    "product ID: a, title: white sandals",
    "product ID: zz, title: white sandals",  # no such item
    "product ID: a, title:",
    "gibberish",  # the memory recalled f, then d
    "gibberish",
]
RECALLED = torch.tensor([[0, 0], [0, 0], [0, 0], [6, 4], [0, 0]])


def letters(texts):
    """Bag of letters as a unit vector."""
    return hash_encoder([" ".join(text.replace(" ", "")) for text in texts])


def hand_made(session=True, id_depth=100, neighbors=True, encoder=True, words=True, images=True):
    titles = TitleList(hash_encoder(TITLES), hash_encoder, TIE)
    return Rankers(
        position_of={item: i for i, item in enumerate(ITEMS)},
        id_list=IdList(TABLE, TIE),
        title_list=titles,
        clip_list=titles,
        encoder_list=TitleList(letters(TITLES), letters, TIE) if encoder else None,
        session_list=SessionList(CosineTable(TABLE, TIE)) if session else None,
        neighbor_list=NeighborList(CommonUsers.count(*np.array(LOG).T, 6).cosines(), TIE, 10) if neighbors else None,
        word_list=WordList(TITLES, TIE, 10) if words else None,
        image_list=ImageList(PICTURES, TIE, 10) if images else None,
        popularity=np.array([0, 5, 0, 0, 3, 0]),
        id_depth=id_depth,
    )


def ranked_of(texts, mixing, recalled, beams=(), acted=None, parts=None, known=None, taken=None):
    """One row per text; `beams` are positions, `acted`, `taken` and `recalled` positions + 1."""
    beams = [*beams, *[[]] * (len(texts) - len(beams))]
    responses = [Response(text, np.array(items, np.int64)) for text, items in zip(texts, beams, strict=True)]
    acted = torch.zeros(len(texts), 1, dtype=torch.int64) if acted is None else acted
    known = torch.zeros(len(texts), dtype=torch.bool) if known is None else known
    question = RowContext(recalled, acted, acted if taken is None else taken, known)
    lists = ResponseLists(parts or hand_made(), torch.from_numpy(TIE), responses, question)
    return lists.rank(mixing), lists.parsed


def lines_of(ranked, places):
    return [
        " ".join(f"{ITEMS[i]}:{ranked.list_of(row, i)}" for i in head)
        for row, head in enumerate(ranked.order[:, :places].tolist())
    ]


def row_lines(ranking="mixup", m=2, use_memory=True):
    ranked, answers = ranked_of(ANSWERS, RankingSettings(ranking, m, 10, 0, use_memory), RECALLED)
    validity = ResponseStats()
    validity.add(answers, ranked, torch.zeros(5, 1, dtype=torch.int64))
    return lines_of(ranked, 3), validity.counts


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["a:id b:id d:title", "d:title c:title", "a:id b:id c:id", "f:memory d:memory b:popularity"]),
        ({"m": 1}, ["a:id d:title c:title", "d:title c:title", "a:id b:id c:id", "f:memory d:memory b:popularity"]),
        ({"ranking": "id"}, ["a:id b:id c:id", "b:popularity e:popularity", "a:id b:id c:id", "f:memory d:memory"]),
        ({"ranking": "title"}, ["d:title c:title", "d:title c:title", "b:popularity e:popularity", "f:memory"]),
        ({"ranking": "clip"}, ["d:clip c:clip", "d:clip c:clip", "b:popularity e:popularity", "f:memory"]),
        ({"use_memory": False}, ["a:id b:id d:title", "d:title", "a:id", "b:popularity e:popularity"]),
    ],
)
def test_the_list_of_each_item(keys, expected):
    lines, _ = row_lines(**keys)
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=False)] == expected
    assert lines[4].startswith("b:popularity e:popularity")


def test_what_went_wrong_is_counted():
    counts = row_lines()[1]
    assert counts["answers"] == 5 and counts["no_id_list"] == counts["no_title_list"] == 1
    assert counts["memory_list"] == counts["popularity_list"] == 1


@pytest.mark.parametrize("ranking", ["mixup", "id", "title", "clip"])
def test_the_counts_of_fallbacks_are_those_of_the_lists(ranking):
    lines, counts = row_lines(ranking)
    heads = Counter(line.split()[0].split(":")[1] for line in lines)
    assert (counts["memory_list"], counts["popularity_list"]) == (heads["memory"], heads["popularity"])
    assert heads["memory"] + heads["popularity"] == (2 if ranking == "mixup" else 3)


@pytest.mark.parametrize("ranking", ["beams", "fusion"])
def test_a_response_without_a_title_is_no_fallback_where_it_gives_another_list(ranking):
    """Beams, an ID, both, and neither; fusion reads the ID too."""
    answers = ["product ID: a, title:", "product ID: a, title:", "gibberish", "gibberish"]
    weights = dict.fromkeys(("beams", "id"), 1.0)
    mixing = RankingSettings(ranking, 2, 10, 0, True, {"new": weights, "known": weights})
    ranked, parsed = ranked_of(answers, mixing, torch.zeros(4, 1, dtype=torch.int64), [[4], [], [4], []])
    counts = ResponseStats()
    counts.add(parsed, ranked, torch.zeros(4, 1, dtype=torch.int64))
    heads = [ranked.list_of(row, item) for row, item in enumerate(ranked.order[:, 0].tolist())]
    assert heads[2:] == ["beams", "popularity"] and heads[1] == ("id" if ranking == "fusion" else "popularity")
    assert counts.counts["popularity_list"] == heads.count("popularity")


BEAMS = [[4, 5], [5, 4], [], [2]]


def test_beams_lead_and_the_title_list_fills_up():
    texts = [*ANSWERS[:3], "gibberish", "gibberish"]
    recalled = torch.tensor([[6, 4], [0, 0], [0, 0], [0, 0], [6, 4]])
    ranked, _ = ranked_of(texts, RankingSettings("beams", 2, 10, 0, True), recalled, BEAMS)
    lines = lines_of(ranked, 6)
    # the title list of white sandals: d (all of it), c (one word); the memory of a row that has a title is not used
    assert lines[0].startswith("e:beams f:beams d:title c:title") and lines[1].startswith("f:beams e:beams d:title")
    # neither beams nor a title: the popular ones; no title: beams, then the popular ones
    assert lines[2].startswith("b:popularity e:popularity") and lines[3].startswith("c:beams b:popularity e:popularity")
    # no beams, no title: the memory, then the popular ones
    assert lines[4].startswith("f:memory d:memory b:popularity e:popularity")
    assert list(ranked.lists) == ["beams"] and ranked.lists["beams"].tolist()[0] == [4, 5]


HALF = dict.fromkeys(("session", "neighbors", "words", "image"), 0.5)
WEIGHTS = {"beams": 4.0, "id": 2.0, "title": 1.0, "encoder": 1.0, **HALF, "memory": 0.25, "taken": -0.5}


def fusion(weights):
    return RankingSettings("fusion", 2, 10, 0, True, {"new": weights, "known": {}})


def test_fusion_by_hand():
    """a: ID a, title white sandals, beams e f, did d, memory f d. Each list's worth at its head is weight / 11."""
    # ID list a b c f e d; title list d c and then nothing in common, by the fixed order; session of d: d, e, f, c, b, a
    question = {"recalled": torch.tensor([[6, 4]]), "beams": [[4, 5]], "acted": torch.tensor([[4, 0]])}
    alone = {name: lines_of(ranked_of(ANSWERS[:1], fusion({name: 1.0}), **question)[0], 6)[0] for name in FUSED}
    assert alone["beams"].startswith("e:beams f:beams d:title c:title")
    assert alone["id"] == "a:id b:id c:id f:id e:id d:id"
    assert alone["title"].startswith("d:title c:title")
    # cosine of the letters with those of white sandals: 1, .75, .65, .40, .38, .35
    assert alone["encoder"] == "d:encoder c:encoder e:encoder a:encoder f:encoder b:encoder"
    assert alone["session"] == "d:session e:session f:session c:session b:session a:session"
    assert alone["neighbors"].startswith("b:neighbors e:neighbors d:title c:title")  # 1 and .71
    # "white" is a word of d alone; "sandals" and "boots" are in more than a tenth of the items
    assert alone["words"].startswith("d:words c:title")
    assert alone["image"].startswith("d:image f:image c:image e:title")
    assert alone["memory"].startswith("f:memory d:memory c:title")
    assert alone["taken"].startswith("d:taken c:title")
    ranked, _ = ranked_of(ANSWERS[:1], fusion({"beams": 4.0, "id": 2.0}), **question)
    # e 4/11 + 2/15, f 4/12 + 2/14, a 2/11, b 2/12, c 2/13, d 2/16
    assert lines_of(ranked, 6) == ["e:beams f:beams a:id b:id c:id d:id"]
    ranked, _ = ranked_of(ANSWERS[:1], fusion({"beams": 1.0, "memory": 1.0}), **question)
    # f 1/12 + 1/11, e 1/11, d 1/12; then the title list goes on: c; the heavier of two lists is named
    assert lines_of(ranked, 4) == ["f:memory e:beams d:memory c:title"]


def test_fusion_lists_nothing_that_is_not_known():
    """No ID, no title, no beam, no action, no memory: every list of the row is empty, and the popular ones stand."""
    nothing = torch.zeros(2, 1, dtype=torch.int64)
    texts = ["gibberish", ANSWERS[0]]
    ranked, _ = ranked_of(texts, fusion(WEIGHTS), nothing, [[], [5]])
    assert list(ranked.lists) == list(FUSED)
    assert all((ranked.lists[name][0] == -1).all() for name in FUSED)
    assert lines_of(ranked, 2)[0] == "b:popularity e:popularity"
    assert ranked.lists["session"][1].tolist() == [-1] * 6 and ranked.lists["memory"][1].tolist() == [-1]
    without, _ = ranked_of(texts, fusion(WEIGHTS), nothing, [[], [5]], parts=hand_made(session=False))
    assert list(without.lists) == [name for name in FUSED if name != "session"]
    assert torch.equal(without.order, ranked.order)
    without, _ = ranked_of(texts, fusion(WEIGHTS), nothing, [[], [5]], parts=hand_made(neighbors=False))
    assert list(without.lists) == [name for name in FUSED if name != "neighbors"]
    without, _ = ranked_of(texts, fusion(WEIGHTS), nothing, [[], [5]], parts=hand_made(encoder=False))
    assert list(without.lists) == [name for name in FUSED if name != "encoder"]
    without, _ = ranked_of(texts, fusion(WEIGHTS), nothing, [[], [5]], parts=hand_made(words=False))
    assert list(without.lists) == [name for name in FUSED if name != "words"]
    without, _ = ranked_of(texts, fusion(WEIGHTS), nothing, [[], [5]], parts=hand_made(images=False))
    assert list(without.lists) == [name for name in FUSED if name != "image"]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0.0, "e:beams f:beams"),
        # e 1/11 - .5/11, f 1/12, and what only this list holds goes on by the title list
        (-0.5, "f:beams e:beams d:title c:title"),
        # below 0, e is no longer listed: f, then d, c and the others by the title list
        (-2.0, "f:beams d:title c:title e:title"),
        # a shop whose customers buy the same again: e 1/11 + .5/11, f 1/12, a .5/11
        (0.5, "e:beams f:beams a:taken d:title"),
    ],
)
def test_what_the_user_took_counts_the_same_whenever_it_was(weight, expected):
    """Beams e f; the user took e, a, e."""
    taken = torch.tensor([[5, 1, 5, 0]])
    settings = fusion({"beams": 1.0, "taken": weight})
    ranked, _ = ranked_of(ANSWERS[:1], settings, torch.tensor([[0]]), [[4, 5]], taken=taken)
    assert lines_of(ranked, 4)[0].startswith(expected)
    if weight:
        assert ranked.lists["taken"].tolist() == [[-1, 0, 4, -1]]


def test_the_neighbors_list_reads_what_the_user_took_and_not_what_the_prompt_shows():
    nothing = torch.zeros(1, 1, dtype=torch.int64)
    ranked, _ = ranked_of(
        ["gibberish"], fusion({"neighbors": 1.0, "session": 1.0}), nothing, taken=torch.tensor([[1, 5, 0]])
    )
    # of a and e, the newest: d .71, b .71, by tie rank; a has no neighbor
    assert sorted(ranked.lists["neighbors"][0].tolist())[-2:] == [1, 3]
    assert ranked.lists["session"][0].tolist() == [-1] * 6


def test_where_only_the_id_itself_is_known_fusion_takes_one_place_of_its_list():
    nothing = torch.zeros(1, 1, dtype=torch.int64)
    ranked, _ = ranked_of(ANSWERS[2:3], fusion({"id": 1.0}), nothing, parts=hand_made(id_depth=1))
    assert ranked.lists["id"].tolist() == [[0]] and lines_of(ranked, 3) == ["a:id b:popularity e:popularity"]


def test_a_memory_without_weight_may_still_lead_the_fallback():
    ranked, _ = ranked_of(["gibberish"], fusion({"beams": 1.0}), torch.tensor([[6, 4]]))
    assert lines_of(ranked, 3) == ["f:memory d:memory b:popularity"]
    ranked, _ = ranked_of(
        ["gibberish"],
        RankingSettings("fusion", 2, 10, 0, False, {"new": {"beams": 1.0}, "known": {}}),
        torch.tensor([[6, 4]]),
    )
    assert lines_of(ranked, 2) == ["b:popularity e:popularity"]


def test_the_fallback_by_hand():
    popular = popular_order(np.array([0, 5, 0, 0, 3, 0]), torch.arange(6))
    assert full_order(HeadThenRest(torch.tensor([[5, -1, 3], [-1, -1, -1]]), popular.repeat(2))).tolist() == [
        [5, 3, 1, 4, 0, 2],
        [1, 4, 0, 2, 3, 5],
    ]


ANSWER = st.sampled_from([*ANSWERS, "product ID: f, title: plain socks"])
PLACES = st.lists(st.integers(0, 6), min_size=3, max_size=3)


@given(
    st.lists(st.tuples(ANSWER, st.lists(st.integers(0, 5), unique=True), PLACES, PLACES), min_size=1, max_size=4),
    st.sampled_from(["mixup", "id", "title", "clip", "beams", "fusion"]),
    st.lists(st.sampled_from([0.0, 0.25, 1.0, 4.0]), min_size=len(FUSED), max_size=len(FUSED)),
)
def test_every_item_has_one_place_and_a_list(rows, ranking, weights):
    texts, beams, recalled, acted = zip(*rows, strict=True)
    weights = dict(zip(FUSED, weights, strict=True))
    mixing = RankingSettings(ranking, 2, 10, 0, True, {"new": weights, "known": weights})
    ranked, _ = ranked_of(texts, mixing, torch.tensor(recalled), beams, torch.tensor(acted))
    for row, order in enumerate(full_order(ranked.final).tolist()):
        assert sorted(order) == [0, 1, 2, 3, 4, 5]
        assert {ranked.list_of(row, item) for item in order} <= {*FUSED, "clip", "popularity"}


def test_a_row_whose_query_the_log_holds_has_weights_of_its_own():
    """Both rows recall f then d; only where the query is known does the memory weigh."""
    weights = {"new": {"beams": 1.0, "memory": 0.0}, "known": {"beams": 1.0, "memory": 4.0}}
    recalled = torch.tensor([[6, 4], [6, 4]])
    known = torch.tensor([False, True])
    mixing = RankingSettings("fusion", 2, 10, 0, True, weights)
    ranked, _ = ranked_of([ANSWERS[0]] * 2, mixing, recalled, beams=[[0, 1], [0, 1]], known=known)
    new, held = lines_of(ranked, 4)
    assert new.startswith("a:beams b:beams")
    # 4/11 of f and 4/12 of d stand before 1/11 of a and 1/12 of b
    assert held == "f:memory d:memory a:beams b:beams"


def test_a_list_without_weight_is_not_computed():
    """Fusion counts what it reads; `words` has a weight in one group of rows only."""
    read = []

    class Counting(WordList):
        def top(self, taken, depth):
            read.append(len(taken))
            return super().top(taken, depth)

    parts = hand_made()
    parts.word_list = Counting(TITLES, TIE, 10)
    taken = torch.tensor([[2]])
    for weights, expected in (({"memory": 1.0, "words": 0.0}, []), ({"words": 1.0}, [1])):
        ranked, _ = ranked_of(ANSWERS[:1], fusion(weights), RECALLED[:1], parts=parts, taken=taken)
        assert read == expected and set(ranked.lists) == {name for name, weight in weights.items() if weight}
    none, _ = ranked_of(ANSWERS[:1], fusion({}), RECALLED[:1], parts=parts, taken=taken)
    assert none.lists == {} and lines_of(none, 2) == ["d:title c:title"]
