"""Perplexity against one forward per example, and the choice of the hardest prompts."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning.perplexity import evaluate_examples, hardest, pad_id, perplexities, read_as
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.step.loss import response_loss
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from tests.helpers.training import add_adapter, together

Examples = Callable[[int, int], list[Example]]


def test_perplexities(plain: Backbone, random_examples: Examples) -> None:
    examples = random_examples(7, 0)
    values = perplexities(plain.model, examples, 3, False)
    for example, value in zip(examples, values, strict=True):
        batch = collate([example], 0)
        with torch.no_grad():
            logits = plain.model(batch.input_ids).logits[0].log_softmax(-1)
        start, end = len(example.prompt), len(example)
        token = logits[torch.arange(start - 1, end - 1), batch.input_ids[0, start:end]]
        assert value == pytest.approx(float(torch.exp(-token.mean())), rel=1e-4)


def test_perplexities_of_prompts(plain: Backbone, random_examples: Examples) -> None:
    """Of every token after the first, whatever the response is."""
    examples = random_examples(5, 3)
    values = perplexities(plain.model, read_as(examples, "prompt"), 2, False)
    for example, value in zip(examples, values, strict=True):
        ids = torch.from_numpy(example.prompt.astype(np.int64))[None]
        with torch.no_grad():
            logits = plain.model(ids).logits[0].log_softmax(-1)
        token = logits[torch.arange(ids.shape[1] - 1), ids[0, 1:]]
        assert value == pytest.approx(float(torch.exp(-token.mean())), rel=1e-4)
    other = [Example(one.prompt, one.response[:1]) for one in examples]
    assert np.array_equal(perplexities(plain.model, read_as(other, "prompt"), 2, False), values)
    assert [one is other for one, other in zip(read_as(examples, "response"), examples, strict=True)] == [True] * 5


def test_hardest() -> None:
    values = np.asarray([3.0, 9.0, 1.0, 9.0, 5.0, 2.0, 9.0, 0.5, 0.1, 0.2])
    assert hardest(values, 0.2).tolist() == [1, 3]
    assert hardest(values, 0.4).tolist() == [1, 3, 4, 6]
    assert hardest(values, 0.0).tolist() == [] and len(hardest(values, 1.0)) == 10


def test_perplexities_do_not_change_gradients(folder: Path, random_examples: Examples) -> None:
    """On some CPUs the first forward in eval mode would permanently remove the gradient of quantized layers."""
    examples = random_examples(2, 5)
    gradients = []
    for warm in (False, True):
        backbone = load_backbone(str(folder), device="cpu")
        model = add_adapter(backbone, FinetuneSettings(lora_dropout=0.0))
        if warm:
            perplexities(model, examples, 2, False)
        model.train()
        response_loss(model, collate(examples, 0))[0].sum().backward()
        gradients.append([p.grad for n, p in model.named_parameters() if "lora_B" in n])
    for cold, warmed in zip(*gradients, strict=True):
        torch.testing.assert_close(cold, warmed)


def test_perplexities_are_without_dropout(plain: Backbone, random_examples: Examples) -> None:
    model = add_adapter(plain, FinetuneSettings(lora_dropout=0.5)).train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    examples = random_examples(4, 2)
    values = perplexities(model, examples, 2, False)
    assert np.array_equal(perplexities(model, examples, 2, False), values)


def test_mode_of_the_model_is_restored(plain: Backbone, random_examples: Examples) -> None:
    model = plain.model.train()
    values = perplexities(model, random_examples(3, 0), 2, False)
    assert model.training and values.shape == (3,) and values.dtype == np.float64
    assert pad_id(model) == 0 and perplexities(model, [], 2, False).shape == (0,)


def numbered(count: int) -> list[Example]:
    """Examples of 2, 3, .. tokens, whose last prompt token is 10, 20, .."""
    return [Example(np.r_[np.zeros(i, int), 10 * (i + 1)], np.asarray([1])) for i in range(count)]


def short_of_memory(most: int, sizes: list[int]) -> Callable[[Sequence[Example]], torch.Tensor]:
    """Scores an example by its last prompt token; more examples than `most` run out of memory."""

    def score(batch: Sequence[Example]) -> torch.Tensor:
        sizes.append(len(batch))
        if len(batch) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return torch.tensor([float(example.prompt[-1]) for example in batch])

    return score


def test_out_of_memory_halves_the_batch(caplog: pytest.LogCaptureFixture) -> None:
    sizes: list[int] = []
    model = torch.nn.Linear(1, 1)
    found = evaluate_examples(model, numbered(7), 6, short_of_memory(2, sizes), "perplexity", False, SINGLE_PROCESS)
    assert found.tolist() == [10, 20, 30, 40, 50, 60, 70]
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1, 1] and model.training
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory with a batch of 6 prompts; continuing with 3",
        "out of memory with a batch of 3 prompts; continuing with 1",
    ]


def test_out_of_memory_with_one_prompt() -> None:
    model = torch.nn.Linear(1, 1)
    line = "^llm_batch_size: not enough GPU memory for one prompt; set a smaller max_length or free GPU memory$"
    with pytest.raises(UserError, match=line):
        evaluate_examples(model, numbered(3), 2, short_of_memory(0, []), "perplexity", False, SINGLE_PROCESS)
    assert model.training and torch.is_grad_enabled()


def test_out_of_memory_on_one_of_two_workers() -> None:
    """Worker 1 has the three examples of 7, 5 and 3 tokens; it goes on with fewer at once, or ends worker 0 too."""

    def work(ranks: Workers, most: int) -> tuple[list[float], list[int]]:
        sizes: list[int] = []
        score = short_of_memory(9 if ranks.first else most, sizes)
        found = evaluate_examples(torch.nn.Linear(1, 1), numbered(7), 4, score, "perplexity", False, ranks)
        return found.tolist(), sizes

    values = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]
    assert together(2, lambda ranks: work(ranks, 1)) == [(values, [4]), (values, [3, 1, 1, 1])]
    outcome = together(2, lambda ranks: work(ranks, 0))
    assert all(isinstance(error, UserError) for error in outcome) and len({str(error) for error in outcome}) == 1
