from collections.abc import Sequence

import numpy as np

from recbole_llmfashion.retrieval.lists.title_list import TitleList
from tests.helpers.orders import full_order


def test_title_list() -> None:
    vectors = {"boot": [1.0, 0.0], "sandal": [0.0, 1.0], "shoe": [0.6, 0.8]}

    def encoder(titles: Sequence[str]) -> np.ndarray:
        return np.array([vectors[title] for title in titles], np.float32).reshape(len(titles), 2)

    catalogue = ["sandal", "boot", "shoe", "boot"]
    ranked = TitleList(encoder(catalogue), encoder, np.array([0, 3, 1, 2]))
    assert full_order(ranked(["boot", "shoe"])).tolist() == [[3, 1, 2, 0], [2, 0, 3, 1]]
    assert ranked([]).shape == (0, 4)
