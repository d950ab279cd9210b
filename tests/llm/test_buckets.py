"""Few padded shapes, each of which holds its batch."""

from math import log2

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.buckets import in_bucket, padded_shape


@given(st.integers(1, 64), st.integers(1, 4000), st.sampled_from([1, 6, 16, 64]))
def test_shapes_are_few_and_hold_the_batch(rows: int, width: int, most: int) -> None:
    rows = min(rows, most)
    tall, wide = padded_shape(rows, width, most)
    assert rows <= tall <= min(2 * rows, most) and width <= wide
    assert wide - width < max(64, width / 4)


def test_few_lengths_up_to_the_longest_prompt() -> None:
    lengths = {padded_shape(1, width, 1)[1] for width in range(1, 2049)}
    assert sorted(lengths) == [*range(64, 513, 64), *range(640, 1025, 128), *range(1280, 2049, 256)]
    assert len({padded_shape(rows, 9, 16)[0] for rows in range(1, 17)}) == log2(16) + 1


def test_a_batch_in_its_bucket() -> None:
    batch = collate([Example(np.full(length, 7), np.array([9])) for length in (3, 5, 70)], 0)
    padded = in_bucket(batch, 16, 0)
    assert padded.input_ids.shape == (4, 128) and padded.response_mask.sum(1).tolist() == [1, 1, 1, 0]
    assert in_bucket(batch, 2, 0, longest=100).input_ids.shape == (3, 100)
