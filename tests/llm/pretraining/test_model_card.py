"""Ranks of targets with literal values, and the text of the model card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.modeling.seen import SeenDataset
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from recbole_llmfashion.llm.pretraining.model_card import card, measure, target_ranks
from recbole_llmfashion.llm.pretraining.settings import PretrainConfig
from recbole_llmfashion.llm.pretraining.shop_examples import ShopExamples

SHIPPED = Path(__file__).parents[3] / "properties/pretrain.yaml"


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
    shop = ShopExamples("x", words, examples, [], positions)
    # token 9 is item 3, 11 is item 1, 12 is item 4: equal, the smaller number first
    assert target_ranks(model, shop, 2.0).tolist() == [4, 1, 5, 2, 3]
    found = measure(model, shop, 2.0)
    assert (found["shop"], found["items"], found["answers"], found["recall@10"]) == ("x", 5, 5, 1.0)
    gains = 1 + 1 / np.log2(3) + 1 / 2 + 1 / np.log2(5) + 1 / np.log2(6)
    assert found["ndcg@10"] == pytest.approx(gains / 5)


def test_card() -> None:
    config = replace(PretrainConfig.read(SHIPPED), categories=["toys", "footwear"], shops_per_category=3)
    log = {"tokens": 1234567, "steps": 89, "copy_loss": 1.25, "listed_loss": 2.5, "norm": 1.8125, "seconds": 3.0}
    figure = {"shop": "toys-1000", "items": 4640, "answers": 799, "recall@10": 0.5, "ndcg@10": 0.25}
    text = card(config, new_tiny_falcon(300, 32, 1, 2, 0), log, [{**figure, "chance@10": 10 / 4640}], 16270)
    for words in (
        f"{300 * 32 + 12 * 32 * 32 + 4 * 32 + 2 * 32:,} parameters",
        "300 tokens",
        "1,234,567 tokens in 89 steps: repeated random sequences, then 6 simulated",
        "6 simulated shops of 800 customers (toys, footwear; seeds from 1001)",
        "16,270 real queries",
        "copy_loss 1.250, listed_loss 2.500. The norm of item embeddings is 1.812",
        "| toys-1000 | 4,640 | 799 | 0.5000 | 0.2500 | 0.0022 |",
        "No evaluation dataset was used",
        "`recbole-llmfashion pretrain-backbone --config properties/pretrain.yaml`",
    ):
        assert words in text, words
    assert "seconds" not in text and "spelled" not in text.split("losses")[1].split("\n")[0]


def test_card_of_a_continued_backbone() -> None:
    config = PretrainConfig.read(SHIPPED)
    config = replace(config, backbone="saved/x", real_datasets=["a/b"], categories=[], copy_steps=0)
    log = {"tokens": 10, "steps": 2, "listed_loss": 2.5, "norm": 2.0}
    seen = [SeenDataset("b", "ab" * 32, "cd" * 32, 1200, 34567)]
    text = card(config, new_tiny_falcon(300, 32, 1, 2, 0), log, [], 0, seen)
    assert "10 tokens in 2 steps: training rows of 1 real datasets. Weights and tokenizer go on from x" in text
    assert f"| b | 1,200 | 34,567 | `{'ab' * 32}` | `{'cd' * 32}` |" in text
    assert "No evaluation dataset" not in text and "simulated" not in text and "unseen shops" not in text
