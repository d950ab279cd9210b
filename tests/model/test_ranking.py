"""Which list gave an item, worked by hand on six items."""

import numpy as np
import pytest
import torch
from fakes import hash_encoder

from recbole_llmfashion.data.fixed_order import tie_rank
from recbole_llmfashion.model.ranking import Mixing, Parts, Validity, rank
from recbole_llmfashion.prompt.response import parse_response
from recbole_llmfashion.retrieval.id_list import IdList
from recbole_llmfashion.retrieval.title_list import TitleList

ITEMS = ("a", "b", "c", "d", "e", "f")
TITLES = ("red boots", "blue boots", "black sandals", "white sandals", "plain socks", "gilt clutch")
# from a by cosine: a, b (0.99), c (0.97), f (0.71), e (0.11), d (0)
TABLE = np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1], [0.1, 0.9], [0.5, 0.5]], np.float32)
TIE = tie_rank(ITEMS)
ANSWERS = [
    "product ID: a, title: white sandals",
    "product ID: zz, title: white sandals",  # no such item
    "product ID: a, title:",
    "gibberish",  # the memory recalled f, then d
    "gibberish",
]
RECALLED = torch.tensor([[0, 0], [0, 0], [0, 0], [6, 4], [0, 0]])


def told(ranking="mixup", m=2, use_memory=True):
    parts = Parts(
        answer=list,
        position_of={item: i for i, item in enumerate(ITEMS)},
        id_list=IdList(TABLE, TIE),
        title_list=TitleList(hash_encoder(TITLES), hash_encoder, TIE),
        clip_list=TitleList(hash_encoder(TITLES), hash_encoder, TIE),
        popularity=np.array([0, 5, 0, 0, 3, 0]),
    )
    mixing = Mixing(ranking, m, 10, 0, use_memory)
    answers = [parse_response(text) for text in ANSWERS]
    ranked = rank(parts, mixing, torch.from_numpy(TIE), answers, RECALLED)
    validity = Validity()
    validity.add(answers, ranked, torch.zeros(5, 1, dtype=torch.int64))
    heads = ranked.order[:, :3].tolist()
    lines = [" ".join(f"{ITEMS[i]}:{ranked.list_of(row, i)}" for i in head) for row, head in enumerate(heads)]
    return lines, validity.counts


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
    lines, _ = told(**keys)
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=False)] == expected
    assert lines[4].startswith("b:popularity e:popularity")


def test_what_went_wrong_is_counted():
    counts = told()[1]
    assert counts["answers"] == 5 and counts["no_id_list"] == counts["no_title_list"] == 1
    assert counts["memory_list"] == counts["popularity_list"] == 1
