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
)
from recbole_llmfashion.llm.finetuning.loss import response_loss
from recbole_llmfashion.llm.finetuning.perplexity import perplexities
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.train_step import TrainStep
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from tests.helpers.training import add_adapter

Examples = Callable[[int, int], list[Example]]


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


@pytest.mark.parametrize(
    ("named", "targets"),
    [(None, 1), ([], 1), ([2], 2), ([2, 4, 7], 4), ([2, 3, 4, 7, 8, 9], 3)],  # the last: two items of three tokens each
)
def test_an_example_asks_for_its_response_and_for_each_named_item(named: list[int] | None, targets: int) -> None:
    places = None if named is None else np.asarray(named, np.int64)
    assert Example(np.arange(10, dtype=np.int32), ints(1), places).targets == targets


@pytest.mark.parametrize(
    ("named", "most", "prompts"),
    [
        (None, 16, 16),  # the paper's: a target a prompt
        (15, 16, 16),  # 16 targets a prompt: 256 of 16 prompts
        (31, 16, 8),
        (63, 16, 4),
        (63, 2, 2),
        (300, 16, 1),
    ],
)
def test_long_histories_make_batches_of_fewer_prompts(named: int | None, most: int, prompts: int) -> None:
    places = None if named is None else 2 * np.arange(1, named + 1)
    assert limit_batch_size([Example(np.zeros(700, np.int32), ints(1), places)] * 3, most, 256) == prompts


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


def test_named_places_of_a_prompt_are_learned_too() -> None:
    named = Example(ints(5, 6, 7, 9), ints(8, 1), np.array([1, 3]))
    plain = Example(ints(9, 4), ints(3))
    batch = collate([named, plain], pad_id=0)
    assert batch.input_ids.tolist() == [[5, 6, 7, 9, 8, 1], [9, 4, 3, 0, 0, 0]]
    assert batch.response_mask.int().tolist() == [[0, 1, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]]
    assert (named.learned, plain.learned, len(named)) == (4, 1, 6)
    assert [array.tolist() for array in named.arrays()] == [[5, 6, 7, 9], [8, 1], [1, 3]]
    assert len(plain.arrays()) == 2
    alone = named.response_only()
    assert (alone.named, alone.learned, len(alone)) == (None, 2, 6)


def test_the_loss_counts_named_places_and_the_perplexity_does_not(random_examples: Examples) -> None:
    model = new_tiny_falcon(320, 32, 2, 2, seed=1).eval()
    plain = random_examples(5, 2)
    named = [Example(e.prompt, e.response, np.array([1, len(e.prompt) - 1])) for e in plain]
    with torch.no_grad():
        sums, counts = response_loss(model, collate(named, 0))
        for example, total, count in zip(named, sums, counts, strict=True):
            ids = torch.from_numpy(np.r_[example.prompt, example.response].astype(np.int64))
            at = [1, len(example.prompt) - 1, *range(len(example.prompt), len(ids))]
            logs = model(ids[None]).logits[0].log_softmax(-1)
            assert int(count) == example.learned == len(at)
            assert float(total) == pytest.approx(-sum(float(logs[i - 1, ids[i]]) for i in at), rel=1e-4)
    assert perplexities(model, named, 2, False).tolist() == perplexities(model, plain, 2, False).tolist()


def test_a_step_divides_by_all_that_is_learned(plain: Backbone, random_examples: Examples) -> None:
    examples = [Example(e.prompt, e.response, np.array([1])) for e in random_examples(4, 3)]
    model = add_adapter(plain, FinetuneSettings(lora_dropout=0.0))
    with torch.no_grad():
        sums, counts = response_loss(model, collate(examples, 0))
    training = TrainStep(
        model.train(), examples, 1e-2, 0.0, 1.0, warmup=1, total=1, micro_batch=3, item_embedding_lr=0.0
    )
    assert training.step([np.arange(4)]) == pytest.approx(float(sums.sum() / counts.sum()), rel=1e-5)
