"""The rankers of six items, with and without an ID model."""

import numpy as np
import torch

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.retrieval.rankers import FUSED_DEPTH, ItemVectors, Rankers, make_rankers
from tests.helpers.fakes import hash_encoder

ITEMS = ("a", "b", "c", "d", "e", "f")
TITLES = ("red boots", "blue boots", "black sandals", "white sandals", "plain socks", "gilt clutch")
CORE = np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1], [0.1, 0.9], [0.5, 0.5]], np.float32)


def rankers(core: np.ndarray | None) -> Rankers:
    vectors = ItemVectors(hash_encoder(TITLES), core)
    popularity = np.array([0, 5, 0, 0, 3, 0])
    return make_rankers(ITEMS, vectors, hash_encoder, None, popularity, tie_rank(ITEMS), lambda name: None)


def test_with_an_id_model() -> None:
    made = rankers(CORE)
    assert made.id_list(torch.tensor([0])).top(3).tolist() == [[0, 1, 2]]
    assert made.session_list is not None and made.session_list(torch.tensor([[3, -1]])).top(2).tolist() == [[3, 4]]
    assert made.id_depth == FUSED_DEPTH and made.clip_list is None


def test_without_an_id_model_only_the_generated_item_is_known() -> None:
    made = rankers(None)
    assert made.id_list(torch.tensor([4])).top(1).tolist() == [[4]]
    assert (made.session_list, made.id_depth) == (None, 1)


def test_titles_ids_and_popularity() -> None:
    made = rankers(CORE)
    assert made.position_of == {item: position for position, item in enumerate(ITEMS)}
    assert made.title_list([TITLES[5]]).top(1).tolist() == [[5]]
    assert made.popular(torch.from_numpy(tie_rank(ITEMS))).top(2).tolist() == [[1, 4]]
