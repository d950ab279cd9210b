"""Dropout of whole items in the input of a training step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.step.history_dropout import history_dropout
from recbole_llmfashion.llm.modeling.adapter import causal_lm
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from tests.helpers.training import SETTINGS, add_adapter, examples, item_tokens, trained


@pytest.fixture
def model(folder: Path) -> Any:
    """A small Falcon with an adapter, so that the embedding is one with trained rows."""
    backbone = load_backbone(str(folder), "none", device="cpu")
    add_item_tokens(backbone, item_tokens(str(folder)))
    return add_adapter(backbone, SETTINGS)


def test_share_of_the_items_that_is_dropped(folder: Path, model: Any) -> None:
    tokens = item_tokens(str(folder))
    span = range(tokens.first, tokens.first + tokens.new_tokens)
    ids = torch.from_numpy(np.random.default_rng(0).integers(span.start - 12, span.stop, (100, 60)))
    layer = causal_lm(model).get_input_embeddings()
    with torch.no_grad():
        whole = layer(ids)
        torch.manual_seed(1)
        with history_dropout(model, span, 0.25):
            found = layer(ids)
        assert torch.equal(layer(ids), whole)  # the hook is gone
    dropped = (found == 0).all(2)
    items = ids >= span.start
    assert not dropped[~items].any() and torch.equal(found[~dropped], whole[~dropped])
    assert 0.22 < float(dropped[items].float().mean()) < 0.28


def test_without_dropout_no_random_number_is_drawn(model: Any) -> None:
    state = torch.random.get_rng_state()
    with history_dropout(model, range(315, 327), 0.0), history_dropout(model, range(0), 0.5), torch.no_grad():
        causal_lm(model).get_input_embeddings()(torch.tensor([[316]]))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("changed", [{"history_dropout": 0.5}, {"label_smoothing_factor": 0.2}])
def test_a_fine_tuning_that_it_changes(folder: Path, changed: dict[str, float]) -> None:
    found = []
    for settings in (SETTINGS, replace(SETTINGS, **changed), replace(SETTINGS, **changed)):
        backbone, tokens = load_backbone(str(folder), "none", device="cpu"), item_tokens(str(folder))
        add_item_tokens(backbone, tokens)
        found.append(trained(finetune(backbone, examples(tokens, 8), settings, False)))
    assert torch.equal(found[1], found[2]) and not torch.allclose(found[0], found[1])
