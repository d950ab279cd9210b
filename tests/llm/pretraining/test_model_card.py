"""Ranks of targets with literal values, and the text of the model card."""

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from recbole_llmfashion.llm.pretraining.model_card import card, measure, target_ranks
from recbole_llmfashion.llm.pretraining.simulated_shops import SimulatedShop


def test_target_ranks_and_measure() -> None:
    """Item rows are embeddings of single words, and the hidden state at the response is a known vector."""
    model = new_tiny_falcon(8, 4, 1, 2, seed=0).eval()
    weight = model.get_input_embeddings().weight
    with torch.no_grad():
        weight[4], weight[5], weight[6] = torch.eye(4)[:3]
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(torch.tensor([1.0, 3.0, 2.0, 0.0]))
    words = [np.array([word]) for word in (4, 5, 6, 5, 5)]  # scores 1, 3, 2, 3, 3
    positions = np.array([2, 3, 0, 1, 4])  # tokens 8 to 12
    examples = [Example(np.array([7, 7], np.int32), np.array([8 + token, 1], np.int32)) for token in range(5)]
    shop = SimulatedShop("x", words, examples, [], positions)
    # token 9 is item 3, 11 is item 1, 12 is item 4: equal, the smaller number first
    assert target_ranks(model, shop, 2.0).tolist() == [4, 1, 5, 2, 3]
    found = measure(model, shop, 2.0)
    assert (found["shop"], found["items"], found["answers"], found["recall@10"]) == ("x", 5, 5, 1.0)
    gains = 1 + 1 / np.log2(3) + 1 / 2 + 1 / np.log2(5) + 1 / np.log2(6)
    assert found["ndcg@10"] == pytest.approx(gains / 5)


def test_card() -> None:
    config = {"categories": ["toys", "footwear"], "shops_per_category": 3, "users_per_shop": 800, "first_seed": 1000}
    log = {"tokens": 1234567, "steps": 89, "copy_loss": 1.25, "listed_loss": 2.5, "norm": 1.8125, "seconds": 3.0}
    figure = {"shop": "toys-1000", "items": 4640, "answers": 799, "recall@10": 0.5, "ndcg@10": 0.25}
    text = card(config, new_tiny_falcon(300, 32, 1, 2, 0), log, [{**figure, "chance@10": 10 / 4640}], 16270)
    for words in (
        f"{300 * 32 + 12 * 32 * 32 + 4 * 32 + 2 * 32:,} parameters",
        "300 tokens",
        "1,234,567 tokens in 89 steps",
        "6 simulated shops of 800 customers (toys, footwear; seeds from 1001)",
        "16,270 real queries",
        "copy_loss 1.250, listed_loss 2.500. The norm of item embeddings is 1.812",
        "| toys-1000 | 4,640 | 799 | 0.5000 | 0.2500 | 0.0022 |",
        "No evaluation dataset was used",
        "`recbole-llmfashion pretrain-backbone --config properties/pretrain.yaml`",
    ):
        assert words in text, words
    assert "seconds" not in text and "spelled" not in text.split("losses")[1].split("\n")[0]
