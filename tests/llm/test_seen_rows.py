"""Rows that learn only where their item is seen."""

from pathlib import Path

import numpy as np
import torch

from recbole_llmfashion.llm.adapter import ROWS, new_adapter
from recbole_llmfashion.llm.backbone import Backbone
from recbole_llmfashion.llm.embedded import new_embedded
from recbole_llmfashion.llm.examples import Example
from recbole_llmfashion.llm.item_rows import add_items
from recbole_llmfashion.llm.training import Training
from recbole_llmfashion.prompt.item_index import atomic_index

FIRST, ITEMS = 20, 6


def moved(seen_rows: bool) -> list[int]:
    """Items whose rows two steps moved; the prompts hold items 1 and 4, an answer item 2."""
    backbone = Backbone(new_embedded(FIRST, 16, 1, 2, seed=0), None, str(Path("none")), 0)
    words = [np.asarray([5 + i, 6 + i], np.int64) for i in range(ITEMS)]
    add_items(backbone, atomic_index(np.arange(ITEMS), FIRST, words))
    model = new_adapter(backbone, 4, 4, 0.0, "auto", 0)
    (rows,) = [value for name, value in model.named_parameters() if ROWS in name]
    before = rows.detach().clone()
    prompts = [[3, FIRST + 1, 4], [3, FIRST + 4, 4]]
    examples = [Example(np.asarray(prompt, np.int32), np.asarray([FIRST + 2, 1], np.int32)) for prompt in prompts]
    training = Training(model, examples, 1e-2, 0.0, 1.0, warmup=1, total=4, micro_batch=2, seen_rows=seen_rows)
    for _ in range(2):
        training.step([np.arange(2)])
    return torch.nonzero((rows.detach() != before).any(dim=1)).flatten().tolist()


def test_only_rows_of_items_in_the_step_learn() -> None:
    assert moved(True) == [1, 2, 4]


def test_as_wrong_answers_all_rows_learn() -> None:
    assert moved(False) == [0, 1, 2, 3, 4, 5]
