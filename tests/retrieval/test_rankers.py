"""The rankers of six items, with and without an ID model."""

from collections.abc import Sequence

import numpy as np
import torch

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.retrieval.rankers import FUSED_DEPTH, Encoders, ItemVectors, Rankers, make_rankers
from tests.helpers.fakes import hash_encoder

ITEMS = ("a", "b", "c", "d", "e", "f")
TITLES = ("red boots", "blue boots", "black sandals", "white sandals", "plain socks", "gilt clutch")
CORE = np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1], [0.1, 0.9], [0.5, 0.5]], np.float32)


def rankers(core: np.ndarray | None) -> Rankers:
    vectors = ItemVectors(hash_encoder(TITLES), core)
    popularity = np.array([0, 5, 0, 0, 3, 0])
    return make_rankers(ITEMS, vectors, Encoders(hash_encoder), popularity, tie_rank(ITEMS), lambda name: None)


def test_with_an_id_model() -> None:
    made = rankers(CORE)
    assert made.id_list(torch.tensor([0])).top(3).tolist() == [[0, 1, 2]]
    assert made.session_list is not None and made.session_list(torch.tensor([[3, -1]])).top(2).tolist() == [[3, 4]]
    assert made.id_depth == FUSED_DEPTH and made.clip_list is None


def test_items_behind_the_ranked_ones_are_read_by_the_session_list_alone() -> None:
    vectors = ItemVectors(hash_encoder(TITLES[:4]), CORE)
    tie = tie_rank(ITEMS[:4])
    made = make_rankers(ITEMS[:4], vectors, Encoders(hash_encoder), np.zeros(4), tie, lambda name: None)
    assert made.session_list is not None
    # e (.1, .9) is near d (1 at 90 degrees), c, b, a
    assert made.session_list(torch.tensor([[4, -1]])).top(6).tolist() == [[3, 2, 1, 0]]
    assert made.id_list(torch.tensor([0])).top(6).tolist() == [[0, 1, 2, 3]]


def test_without_an_id_model_only_the_generated_item_is_known() -> None:
    made = rankers(None)
    assert made.id_list(torch.tensor([4])).top(1).tolist() == [[4]]
    assert (made.session_list, made.id_depth) == (None, 1)


def test_titles_ids_and_popularity() -> None:
    made = rankers(CORE)
    assert made.position_of == {item: position for position, item in enumerate(ITEMS)}
    assert made.title_list([TITLES[5]]).top(1).tolist() == [[5]]
    assert made.popular(torch.from_numpy(tie_rank(ITEMS))).top(2).tolist() == [[1, 4]]


def test_a_list_per_text_model_in_use() -> None:
    """CLIP and the sentence encoder read letters; each index is that of its own table."""
    asked: list[str] = []
    vectors = ItemVectors(hash_encoder(TITLES), None, letters(TITLES), letters(TITLES))
    encoders = Encoders(hash_encoder, letters, letters)
    made = make_rankers(ITEMS, vectors, encoders, np.zeros(6), tie_rank(ITEMS), lambda name: asked.append(name))
    assert asked == ["title", "clip", "sentences"]
    assert made.encoder_list is not None and made.clip_list is not None
    assert (
        made.encoder_list(["slaadns etihw"]).top(1).tolist()
        == made.clip_list(["slaadns etihw"]).top(1).tolist()
        == [[3]]
    )
    assert rankers(CORE).encoder_list is None


def letters(texts: Sequence[str]) -> np.ndarray:
    """Bag of letters as a unit vector."""
    return hash_encoder([" ".join(text.replace(" ", "")) for text in texts])
