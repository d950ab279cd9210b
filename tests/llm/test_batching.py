from collections.abc import Callable

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.batching import (
    Batch,
    Example,
    batches_by_length,
    collate,
    left_pad,
    limit_batch_size,
    pad_batch,
)
from recbole_llmfashion.llm.buckets import padded_shape
from recbole_llmfashion.llm.finetuning.perplexity import perplexities
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.loss import response_loss
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from tests.helpers.training import add_adapter

Examples = Callable[[int, int], list[Example]]


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int32)


def test_collate() -> None:
    batch: Batch = collate([Example(ints(5, 6, 7), ints(8, 1)), Example(ints(9), ints(4))], pad_id=1)
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 1], [9, 4, 1, 1, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert batch.response_mask.tolist() == [[False, False, False, True, True], [False, True, False, False, False]]


def test_left_pad() -> None:
    ids, mask = left_pad([ints(5, 6, 7), ints(9)], pad_id=0)
    assert ids.tolist() == [[5, 6, 7], [0, 0, 9]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize(("prompt", "response"), [((), (1,)), ((1,), ())])
def test_empty_prompt_or_response(prompt: tuple[int, ...], response: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Example(ints(*prompt), ints(*response))


@pytest.mark.parametrize(
    ("named", "targets"),
    [(None, 1), ([], 1), ([2], 2), ([2, 4, 7], 4), ([2, 3, 4, 7, 8, 9], 3)],  # the last: two items of three tokens each
)
def test_target_items(named: list[int] | None, targets: int) -> None:
    places = None if named is None else np.asarray(named, np.int64)
    assert Example(np.arange(10, dtype=np.int32), ints(1), places).target_items == targets


@pytest.mark.parametrize(
    ("named", "most", "prompts"),
    [
        (None, 16, 16),  # the paper's: a target a prompt
        (15, 16, 16),  # 16 targets per prompt: 256 of 16 prompts
        (31, 16, 8),
        (63, 16, 4),
        (63, 2, 2),
        (300, 16, 1),
    ],
)
def test_limit_batch_size(named: int | None, most: int, prompts: int) -> None:
    places = None if named is None else 2 * np.arange(1, named + 1)
    assert limit_batch_size([Example(np.zeros(700, np.int32), ints(1), places)] * 3, most, 256) == prompts


def test_batches_by_length() -> None:
    lengths = np.random.default_rng(0).integers(10, 300, 1000)
    plans = [batches_by_length(lengths, 16, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    for plan in plans:
        assert sorted(np.concatenate(plan)) == list(range(1000))
        assert [len(batch) for batch in plan].count(16) == 62
        padded = sum(lengths[batch].max() * len(batch) for batch in plan)
        assert padded < 1.15 * lengths.sum()  # random batches of 16 would pad by about 80 %
    same, other = [np.array_equal(np.concatenate(plans[0]), np.concatenate(p)) for p in plans[1:]]
    assert same and not other


def padding(lengths: np.ndarray, batches: list[np.ndarray], width: Callable[[int], int]) -> float:
    """Share of padding among the tokens of all batches, each padded to `width` of its longest."""
    padded = sum(len(batch) * width(int(lengths[batch].max())) for batch in batches)
    return float(1 - lengths.sum() / padded)


def test_similar_lengths_together_save_padding() -> None:
    """Prompts of 10 to 90 tokens by two: 44 % padding as they come, 2 % sorted; 61 and 48 % in lengths of graphs."""
    lengths = np.array([10, 90, 12, 88])
    plain, sorted_ones = [np.array([0, 1]), np.array([2, 3])], batches_by_length(lengths, 2, np.random.default_rng(0))
    assert {tuple(sorted(batch.tolist())) for batch in sorted_ones} == {(0, 2), (1, 3)}
    found = [padding(lengths, batches, lambda width: width) for batches in (plain, sorted_ones)]
    assert found == pytest.approx([1 - 200 / (2 * 90 + 2 * 88), 1 - 200 / (2 * 12 + 2 * 90)])
    found = [padding(lengths, batches, lambda n: padded_shape(2, n, 2)[1]) for batches in (plain, sorted_ones)]
    assert found == pytest.approx([1 - 200 / (4 * 128), 1 - 200 / (2 * 64 + 2 * 128)])


def test_added_padding_and_rows_have_no_target() -> None:
    batch = collate([Example(np.array([5, 8]), np.array([7])), Example(np.array([9]), np.array([7]))], 3)
    more = pad_batch(batch, rows=3, width=4, pad_id=3)
    assert more.input_ids.tolist() == [[5, 8, 7, 3], [9, 7, 3, 3], [3, 3, 3, 3]]
    assert more.attention_mask.tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert more.response_mask.tolist() == [[False, False, True, False], [False, True, False, False], [False] * 4]


def test_collate_with_prompt_targets() -> None:
    named = Example(ints(5, 6, 7, 9), ints(8, 1), np.array([1, 3]))
    plain = Example(ints(9, 4), ints(3))
    batch = collate([named, plain], pad_id=0)
    assert batch.input_ids.tolist() == [[5, 6, 7, 9, 8, 1], [9, 4, 3, 0, 0, 0]]
    assert batch.response_mask.int().tolist() == [[0, 1, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]]
    assert (named.target_tokens, plain.target_tokens, len(named)) == (4, 1, 6)
    assert [array.tolist() for array in named.arrays()] == [[5, 6, 7, 9], [8, 1], [1, 3]]
    assert len(plain.arrays()) == 2
    alone = named.response_only()
    assert (alone.prompt_targets, alone.target_tokens, len(alone)) == (None, 2, 6)


def test_prompt_targets_count_in_the_loss_and_not_in_perplexity(random_examples: Examples) -> None:
    model = new_tiny_falcon(320, 32, 2, 2, seed=1).eval()
    plain = random_examples(5, 2)
    named = [Example(e.prompt, e.response, np.array([1, len(e.prompt) - 1])) for e in plain]
    with torch.no_grad():
        sums, counts = response_loss(model, collate(named, 0))
        for example, total, count in zip(named, sums, counts, strict=True):
            ids = torch.from_numpy(np.r_[example.prompt, example.response].astype(np.int64))
            at = [1, len(example.prompt) - 1, *range(len(example.prompt), len(ids))]
            logs = model(ids[None]).logits[0].log_softmax(-1)
            assert int(count) == example.target_tokens == len(at)
            assert float(total) == pytest.approx(-sum(float(logs[i - 1, ids[i]]) for i in at), rel=1e-4)
    assert perplexities(model, named, 2, False).tolist() == perplexities(model, plain, 2, False).tolist()


def test_step_divides_by_the_number_of_targets(plain: Backbone, random_examples: Examples) -> None:
    examples = [Example(e.prompt, e.response, np.array([1])) for e in random_examples(4, 3)]
    model = add_adapter(plain, FinetuneSettings(lora_dropout=0.0))
    with torch.no_grad():
        sums, counts = response_loss(model, collate(examples, 0))
    training = TrainStep(
        model.train(), examples, 1e-2, 0.0, 1.0, warmup=1, total=1, micro_batch=3, item_embedding_lr=0.0
    )
    assert training.step([np.arange(4)]) == pytest.approx(float(sums.sum() / counts.sum()), rel=1e-5)
