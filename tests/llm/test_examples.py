import numpy as np
import pytest

from recbole_llmfashion.llm.examples import Batch, Example, batches_by_length, collate, left_pad


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int32)


def test_training_batches_are_padded_on_the_right_and_marked_at_the_response() -> None:
    batch: Batch = collate([Example(ints(5, 6, 7), ints(8, 1)), Example(ints(9), ints(4))], pad_id=1)
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 1], [9, 4, 1, 1, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert batch.response_mask.tolist() == [[False, False, False, True, True], [False, True, False, False, False]]


def test_generation_batches_are_padded_on_the_left() -> None:
    ids, mask = left_pad([ints(5, 6, 7), ints(9)], pad_id=0)
    assert ids.tolist() == [[5, 6, 7], [0, 0, 9]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize(("prompt", "response"), [((), (1,)), ((1,), ())])
def test_an_example_without_a_prompt_or_response_is_refused(prompt: tuple[int, ...], response: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Example(ints(*prompt), ints(*response))


def test_batches_hold_each_index_once_with_little_padding_in_a_seeded_order() -> None:
    lengths = np.random.default_rng(0).integers(10, 300, 1000)
    plans = [batches_by_length(lengths, 16, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    for plan in plans:
        assert sorted(np.concatenate(plan)) == list(range(1000))
        assert [len(batch) for batch in plan].count(16) == 62
        padded = sum(lengths[batch].max() * len(batch) for batch in plan)
        assert padded < 1.15 * lengths.sum()  # random batches of 16 would pad by about 80 %
    same, other = [np.array_equal(np.concatenate(plans[0]), np.concatenate(p)) for p in plans[1:]]
    assert same and not other
