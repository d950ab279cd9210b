"""The quality of a running fine-tuning on validation rows, by which its epochs are compared.

    item IDs of one token:        NDCG@10 of the items by the logits of the token after the prompt
    item IDs of several tokens:   minus the mean negative log-likelihood of a token of the target's ID

NDCG@10 of IDs of several tokens would take a beam search in every epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning.perplexity import evaluate_examples, pad_id
from recbole_llmfashion.llm.finetuning.step.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.step.loss import logits_at, response_loss
from recbole_llmfashion.llm.layers.falcon import fused_falcon
from recbole_llmfashion.llm.layers.fused_lora import fast_lora

TOP = 10


@dataclass(frozen=True)
class ValidationRows:
    """Prompts whose next item is known.

    Args:
        examples: prompts up to the token before the ID; the response is the target's ID.
        item_tokens: ids of the tokens that each name one item; None where an ID has several tokens.
    """

    examples: Sequence[Example]
    item_tokens: range | None

    def arrays(self) -> list[np.ndarray]:
        """All arrays of its examples, for a digest."""
        return [array for example in self.examples for array in example.arrays()]


def gains(ranks: Tensor) -> Tensor:
    """NDCG@10 of rows with one target: 1 / log2(rank + 2) for ranks below ten, counted from 0; else 0.

    >>> gains(torch.tensor([0.0, 2.0, 14.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    return (ranks < TOP) / torch.log2(ranks + 2)


def target_ranks(logits: Tensor, targets: Tensor) -> Tensor:
    """Rank of each row's target from 0; a tie counts as half a place, so that equal scores are no hit.

    Args:
        logits: [B, N].
        targets: int64 [B] columns.

    >>> target_ranks(torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0]]), torch.tensor([2, 0])).tolist()
    [1.0, 1.0]
    """
    own = logits.gather(1, targets[:, None])
    return (logits > own).sum(1) + ((logits == own).sum(1) - 1) / 2


def validation_score(
    model: Any, rows: ValidationRows, batch_size: int, show_progress: bool, workers: Workers = SINGLE_PROCESS
) -> float:
    """The mean score of the rows, higher is better; see the module.

    Args:
        model: a causal LM or a peft model around one; its training mode is restored.
        rows: at least one.
        batch_size: prompts per forward.
        show_progress: whether to show a progress bar.
        workers: this process among the data-parallel workers; each computes a part, all return the whole.
    """
    device, tokens = next(model.parameters()).device, rows.item_tokens

    def score(examples: Sequence[Example]) -> Tensor:
        batch = collate([example.response_only() for example in examples], pad_id(model)).to(device)
        if tokens is None:
            sums, counts = response_loss(model, batch)
            return -sums / counts
        rows, columns, targets = batch.targets()
        logits = logits_at(model, batch.input_ids, batch.attention_mask, rows, columns)
        return gains(target_ranks(logits[:, tokens.start : tokens.stop].float(), targets - tokens.start))

    with fast_lora(model), fused_falcon(model):
        scores = evaluate_examples(model, rows.examples, batch_size, score, "validation", show_progress, workers)
    return float(scores.mean())
