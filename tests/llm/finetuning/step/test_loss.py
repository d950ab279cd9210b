from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from recbole_llmfashion.llm.batching import Batch, Example, collate
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.loss import has_plain_head, response_loss
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from tests.helpers.training import add_adapter

Examples = Callable[[int, int], list[Example]]
SHAPE = {"vocab_size": 320, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
MODELS = {
    "falcon": lambda: new_tiny_falcon(320, 32, 2, 2, seed=1),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, **HEADS, num_key_value_heads=2)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SHAPE, **HEADS)),
    "granite": lambda: GraniteForCausalLM(GraniteConfig(**SHAPE, **HEADS, num_key_value_heads=2, logits_scaling=4.0)),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SHAPE, **HEADS, num_key_value_heads=2, head_dim=8, final_logit_softcapping=0.05)
    ),
}


def full_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Reference: all logits and shifted labels."""
    logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.float()
    labels = batch.input_ids.masked_fill(~batch.response_mask, -100)[:, 1:]
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels, reduction="none", ignore_index=-100)
    return losses.sum(1)


@pytest.mark.parametrize(("name", "plain"), [(n, n in ("falcon", "llama", "gpt_neox")) for n in MODELS])
def test_same_loss_as_with_all_logits(name: str, plain: bool, random_examples: Examples) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    batch = collate(random_examples(5, 0), 0)
    sums, counts = response_loss(model, batch)
    torch.testing.assert_close(sums, full_loss(model, batch), rtol=1e-5, atol=1e-5)
    assert counts.tolist() == [len(example.response) for example in random_examples(5, 0)]
    assert has_plain_head(model) is plain


def test_label_smoothing(random_examples: Examples) -> None:
    """A tenth of each target's probability goes to all tokens evenly: 0.9 of its loss and 0.1 of their mean."""
    torch.manual_seed(0)
    model = MODELS["falcon"]().eval()
    example = random_examples(1, 0)[0]
    batch = collate([example], 0)
    with torch.no_grad():
        log = model(input_ids=batch.input_ids).logits[0].float().log_softmax(1)
        at = torch.arange(len(example.prompt) - 1, len(example) - 1)
        expected = -(0.9 * log[at, batch.input_ids[0, at + 1]] + 0.1 * log[at].mean(1)).sum()
        found, _ = response_loss(model, batch, label_smoothing=0.1)
    torch.testing.assert_close(found, expected[None], rtol=1e-5, atol=1e-5)


def test_same_gradients_as_with_all_logits(plain: Backbone, random_examples: Examples) -> None:
    model = add_adapter(plain, FinetuneSettings(lora_dropout=0.0)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
    batch = collate(random_examples(4, 1), 0)
    found = []
    for loss in (response_loss(model, batch)[0].sum(), full_loss(model, batch).sum()):
        model.zero_grad()
        loss.backward()
        found.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
    assert len(found[0]) == 32
    for one, other in zip(*found, strict=True):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_logits_only_at_target_positions(random_examples: Examples) -> None:
    model = new_tiny_falcon(320, 32, 2, 2, seed=1)
    examples = random_examples(5, 0)
    has_plain_head(model)
    rows: list[int] = []
    model.lm_head.register_forward_hook(lambda _m, args, _o: rows.append(args[0].numel() // 32))
    response_loss(model, collate(examples, 0))
    assert rows == [sum(len(example.response) for example in examples)]


def test_loss_does_not_depend_on_the_batch(random_examples: Examples) -> None:
    model = new_tiny_falcon(320, 32, 2, 2, seed=1)
    examples = random_examples(6, 3)
    together, _ = response_loss(model, collate(examples, 1))
    alone = torch.cat([response_loss(model, collate([example], 0))[0] for example in examples])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_probe_of_the_head_does_not_change_random_numbers() -> None:
    model = new_tiny_falcon(320, 32, 2, 2, seed=1).train()
    model.transformer.ln_f = torch.nn.Sequential(model.transformer.ln_f, torch.nn.Dropout(0.5))
    before = torch.get_rng_state()
    has_plain_head(model)
    assert torch.equal(before, torch.get_rng_state())
