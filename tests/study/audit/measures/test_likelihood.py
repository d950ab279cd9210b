"""Likelihood of parts of texts: equal to a plain forward pass, whatever is in the batch beside them."""

import numpy as np
import pytest
import torch
from transformers import FalconConfig, FalconForCausalLM

from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.study.audit.measures.likelihood import Span, score


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    sizes = {"vocab_size": 23, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return FalconForCausalLM(FalconConfig(**sizes, alibi=False, new_decoder_architecture=True, num_kv_heads=1)).eval()


def test_as_a_plain_forward_pass(model):
    draw = np.random.default_rng(2)
    spans = [Span(draw.integers(1, 23, size).astype(np.int32), part) for size, part in ((9, 3), (4, 1), (12, 11))]
    found = score(CausalLMRunner(model, 0), spans)
    for span, value, said in zip(spans, found.log_likelihood, found.said, strict=True):
        ids = torch.from_numpy(span.ids.astype(np.int64))
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0, :-1]
        likely = torch.log_softmax(logits, -1).gather(1, ids[1:, None])[-span.length :, 0]
        assert value == pytest.approx(float(likely.sum()), abs=1e-4)
        assert said == bool((logits.argmax(1) == ids[1:])[-span.length :].all())


def test_what_greedy_decoding_says(model):
    start = torch.tensor([[3, 5]])
    whole = model.generate(input_ids=start, max_new_tokens=4, do_sample=False, pad_token_id=0)[0].numpy()
    other = whole.copy()
    other[-1] = (other[-1] + 1) % 23
    assert score(CausalLMRunner(model, 0), [Span(whole, 4), Span(other, 4)]).said.tolist() == [True, False]


@pytest.mark.parametrize("length", [0, 2])
def test_a_part_needs_something_before_it(length):
    with pytest.raises(ValueError, match="needs a token"):
        Span(np.asarray([4, 5]), length)
