"""Ranking by pictures, by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.lists.image_list import ImageList

# items 0 and 1 are alike, 2 is between them and 3; item 4 has no picture
VECTORS = np.array([[1, 0], [0.96, 0.28], [0.6, 0.8], [0, 1], [0, 0]], np.float32)
TIE = np.array([4, 3, 2, 1, 0])
NONE = torch.tensor([-1])
# at 0, 17, 50 and 90 degrees: no two are equally near to any of them, where rounding would decide
UNEQUAL = np.array([*([np.cos(angle), np.sin(angle)] for angle in np.radians([0, 17, 50, 90])), [0, 0]], np.float32)


def ranked(taken, generated=NONE, depth=5, history=10):
    return ImageList(VECTORS, TIE, history).top(torch.tensor(taken), generated, depth).tolist()


def test_ranks_by_hand():
    """After item 3: itself 1, then 2 (.8), 1 (.28), 0 (0); the item without a picture is never listed."""
    assert ranked([[3]]) == [[3, 2, 1, 0, -1]]
    # the newest counts fully, the one before it half: (0, 1) + (1, 0) / 2, so 2 (1.1 / 1.118) before 3 (1 / 1.118)
    assert ranked([[0, 3]]) == [[2, 3, 1, 0, -1]]
    assert ranked([[0, 3]], history=1) == [[3, 2, 1, 0, -1]]
    assert ranked([[3, -1]], depth=2) == [[3, 2]]


def test_the_generated_item_stands_in_for_a_user_without_pictures():
    assert ranked([[-1]], torch.tensor([0])) == [[0, 1, 2, 3, -1]]
    assert ranked([[4]], torch.tensor([0]))[0][:2] == [0, 1]
    assert ranked([[3]], torch.tensor([0])) == ranked([[3]])  # what the user took comes first
    assert ranked([[-1]]) == ranked([[4]]) == ranked([[-1]], torch.tensor([4])) == [[-1] * 5]


def test_equal_pictures_by_tie_rank():
    same = np.repeat(VECTORS[:1], 3, axis=0)
    assert ImageList(same, np.array([2, 0, 1]), 5).top(torch.tensor([[0]]), NONE, 3).tolist() == [[1, 2, 0]]


def test_no_pictures_and_no_rows():
    assert ImageList(np.zeros((3, 2), np.float32), TIE[:3], 5).top(torch.tensor([[0]]), NONE, 2).tolist() == [[-1, -1]]
    empty = torch.zeros((0, 2), dtype=torch.int64)
    assert ImageList(VECTORS, TIE, 5).top(empty, empty[:, 0], 4).shape == (0, 4)


@given(st.lists(st.lists(st.integers(-1, 4), min_size=3, max_size=3), min_size=1, max_size=8), st.integers(1, 7))
def test_rows_together_are_the_rows_alone(rows, depth):
    generated = torch.tensor([row[0] for row in rows])
    images = ImageList(UNEQUAL, TIE, 2)
    together = images.top(torch.tensor(rows), generated, depth)
    alone = [images.top(torch.tensor([row]), generated[i : i + 1], depth) for i, row in enumerate(rows)]
    assert torch.equal(together, torch.cat(alone))
    for row in together.tolist():
        listed = [item for item in row if item >= 0]
        assert len(set(listed)) == len(listed) and 4 not in listed


def test_scores_fall_along_the_list():
    query = VECTORS[1]
    listed = ImageList(VECTORS, TIE, 5).top(torch.tensor([[1]]), NONE, 4)[0].numpy()
    assert np.diff(VECTORS[listed] @ query).max() <= 0 and listed[0] == 1
    assert VECTORS[listed][1] @ query == pytest.approx(0.96)


def test_a_picture_behind_the_ranked_ones_is_read_and_not_ranked():
    """Items 0 to 2 are ranked, 3 and 4 are not: 3 is like 2 (.8) and 1 (.28), and 4 has no picture."""
    images = ImageList(VECTORS, TIE[:3], 10)
    assert images.top(torch.tensor([[3], [0]]), torch.tensor([-1, -1]), 4).tolist() == [[2, 1, 0, -1], [0, 1, 2, -1]]
    assert images.top(torch.tensor([[4]]), torch.tensor([1]), 4).tolist() == [[1, 0, 2, -1]]
