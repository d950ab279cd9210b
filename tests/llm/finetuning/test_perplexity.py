"""Perplexity against one forward per example, and the choice of the hardest prompts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning.perplexity import hardest, pad_id, perplexities, read_as
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.loss import response_loss
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from tests.helpers.training import add_adapter

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
