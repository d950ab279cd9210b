"""Forward and backward of a micro-batch as CUDA graphs, one for each padded shape.

A step of a small model is thousands of launches and little arithmetic. A graph repeats all of them in one call; the
optimizer's two graphs follow it (optimizer.py). Rows, widths and numbers of targets are padded (llm/buckets.py), so
there are few graphs, which share their memory. Never run on a GPU; docs/gpu.md says what is tested without one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recbole_llmfashion.llm.batching import Batch
from recbole_llmfashion.llm.buckets import in_bucket, padded_length
from recbole_llmfashion.llm.captured import Captured, graph_memory
from recbole_llmfashion.llm.finetuning.step.loss import logits_at
from recbole_llmfashion.llm.finetuning.step.optimizer import Optimizer
from recbole_llmfashion.llm.modeling.abilities import most_tokens


class CapturedGradients:
    """Adds the gradients of micro-batches to those of the optimizer's parameters.

        loss = sum over targets of weight * cross entropy, where the weight is 1 / tokens, and 0 for padding

    Args:
        model: a peft model with explicit positions, none of whose layers is checkpointed.
        optimizer: with `cuda_graphs`, so that its gradients stay where they are.
        layers: the context that a forward and backward run in; yields what is to be called after the backward.
        label_smoothing: see FinetuneSettings.
        pad_id: token id of padding.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        layers: Callable[[], AbstractContextManager[Callable[[], None]]],
        label_smoothing: float,
        pad_id: int,
    ) -> None:
        self._model, self._optimizer, self._layers = model, optimizer, layers
        self._label_smoothing, self._pad_id = label_smoothing, pad_id
        self._device = next(model.parameters()).device
        self._longest = most_tokens(model.config)
        self._memory = graph_memory(self._device)
        self._graphs: dict[tuple[int, ...], tuple[list[Tensor], Captured]] = {}

    @property
    def shapes(self) -> set[tuple[int, ...]]:
        """Rows, width and targets of each graph."""
        return set(self._graphs)

    def __call__(self, batch: Batch, most_rows: int, tokens: int) -> Tensor:
        """The loss of a batch on the host, []; the next call may overwrite it.

        Args:
            batch: right-padded.
            most_rows: rows that a batch is padded to, at most.
            tokens: target tokens of the whole step.
        """
        given = self._inputs(in_bucket(batch, most_rows, self._pad_id, self._longest), tokens)
        shape = (*given[0].shape, len(given[1]))
        if shape not in self._graphs:
            inputs = [torch.empty_like(value, device=self._device) for value in given]
            self._graphs[shape] = inputs, Captured(lambda: self._add(*inputs), self._device, self._memory)
        inputs, graph = self._graphs[shape]
        for place, value in zip(inputs, given, strict=True):
            place.copy_(value)
        return graph()

    def clear(self) -> None:
        """Gives the memory of all graphs back."""
        self._graphs.clear()

    @staticmethod
    def _inputs(batch: Batch, tokens: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Ids [B, T]; row, column, target and weight of each target, [M] each, padded."""
        rows, columns, targets = batch.targets()
        more = (0, padded_length(max(1, len(rows))) - len(rows))
        weights = torch.full((len(rows),), 1 / tokens)
        return batch.input_ids, F.pad(rows, more), F.pad(columns, more), F.pad(targets, more), F.pad(weights, more)

    def _add(self, ids: Tensor, rows: Tensor, columns: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        with self._layers() as collect:
            logits = logits_at(self._model, ids, None, rows, columns).float()
            losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=self._label_smoothing)
            loss = losses @ weights
            self._optimizer.add_gradient(loss)
            collect()
        return loss.detach()
