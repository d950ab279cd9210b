"""One step of a fine-tuning after the other: forwards, the optimizer, and what may go wrong in a step.

    loss of a step = sum of the token losses of all its prompts / learned tokens of all its prompts

so it does not matter how the step's prompts are cut into forwards, nor which worker (ranks.py) runs which of them.
Knows no curriculum and no files.
"""

from collections.abc import Sequence
from logging import getLogger
from math import ceil
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.fused import lean_falcon, lean_lora
from recbole_llmfashion.llm.finetuning.loss import response_loss
from recbole_llmfashion.llm.finetuning.optimizer import NotFiniteError, Optimizer, linear_rate
from recbole_llmfashion.llm.finetuning.perplexity import pad_id
from recbole_llmfashion.llm.modeling.adapter import ROWS

NAMED_PROMPTS = 32


class TrainStep:
    """Steps over examples by index.

    Args:
        model: a peft model, on its device.
        examples: prompts and responses.
        learning_rate, weight_decay, max_grad_norm: of AdamW.
        warmup, total: steps with a rising rate, and in all; the rate falls to zero at the last.
        micro_batch: most prompts a forward.
        item_embedding_lr: how far the rows of items' tokens move in a step, all together, in lengths of such a row.
        ranks: the workers that make the steps together.

    Attributes:
        micro_batch: halved each time this worker's memory ran out.
        halvings: how often that of any worker did.
        tokens: read so far, padding excluded.
        losses: of each step, in nats a learned token.
    """

    def __init__(
        self,
        model: Any,
        examples: Sequence[Example],
        learning_rate: float,
        weight_decay: float,
        max_grad_norm: float,
        warmup: int,
        total: int,
        micro_batch: int,
        item_embedding_lr: float,
        ranks: Workers = SINGLE_PROCESS,
    ) -> None:
        self.model, self.examples, self.ranks = model, examples, ranks
        self.lengths = np.asarray([len(example) for example in examples])
        self.responses = np.asarray([example.learned for example in examples])
        self.device = next(model.parameters()).device
        scaled = self.device.type == "cuda" and model.dtype == torch.float16
        rows = [value for name, value in model.named_parameters() if ROWS in name and value.requires_grad]
        length = float(rows[0].detach().float().norm(dim=1).mean()) if rows else 0.0
        self.optimizer = Optimizer(
            model.parameters(),
            learning_rate,
            weight_decay,
            max_grad_norm=max_grad_norm,
            scaled=scaled,
            tables=rows,
            table_rate=item_embedding_lr * length,
        )
        self.warmup, self.total, self.micro_batch = warmup, total, micro_batch
        self.halvings = self._halved = self.tokens = 0
        self.losses: list[float] = []

    def step(self, batches: Sequence[np.ndarray]) -> float:
        """One step on the prompts of all batches, a forward a batch or more; returns its loss.

        Raises:
            NotFiniteError: the loss or the gradient is; names the prompts. The adapter is as it was before the step.
            UserError: memory runs out with one prompt a forward.
        """
        try:
            loss = self._together(batches)
            rate = linear_rate(self.optimizer.steps, self.warmup, self.warmup, self.total, 0.0)
            self.optimizer.step(rate)
        except NotFiniteError as error:
            self.optimizer.clear()
            raise NotFiniteError(f"{error}; {self._named(error, batches)}") from None
        self.tokens += sum(int(self.lengths[batch].sum()) for batch in batches)
        self.losses.append(loss)
        return loss

    def _together(self, batches: Sequence[np.ndarray]) -> float:
        """The step's loss, its gradients made: each worker's of its part, added up."""
        tokens = sum(int(self.responses[batch].sum()) for batch in batches)
        mine, self._halved = [self.ranks.part(batch) for batch in batches], 0

        def own() -> float:
            loss = None
            while loss is None:
                loss = self._gradients(mine, tokens)
            return loss

        loss = self.ranks.agree(own)
        self.ranks.add_gradients(self.optimizer.parameters)
        loss, halved = self.ranks.total(np.asarray([loss, self._halved])).tolist()
        self.halvings += int(halved)
        return loss

    def _gradients(self, batches: Sequence[np.ndarray], tokens: int) -> float | None:
        """The loss of these prompts' share of a step, its gradients made; None where memory ran out.

        The micro-batch is halved then. Nothing is summed over workers before each of them has all of its gradients, so
        that no other worker needs to know.
        """
        parts = [batch[i : i + self.micro_batch] for batch in batches for i in range(0, len(batch), self.micro_batch)]
        try:
            with lean_lora(self.model), lean_falcon(self.model):
                return sum(self._forward(part, tokens) for part in parts)
        except torch.cuda.OutOfMemoryError as error:
            reason = " ".join(str(error).split())[:160]
        # Outside of the except clause, where the traceback no longer holds the activations.
        self._halve(max(map(len, parts)), reason)
        return None

    def _forward(self, indices: np.ndarray, tokens: int) -> float:
        batch = collate([self.examples[i] for i in indices], pad_id(self.model))
        sums, _ = response_loss(self.model, batch.to(self.device))
        try:
            return self.optimizer.backward(sums.sum() / tokens)
        except NotFiniteError as error:
            error.prompts = indices.tolist()
            raise

    def _halve(self, size: int, reason: str) -> None:
        self.optimizer.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        at = f"out of memory at step {self.optimizer.steps + 1}"
        if size == 1:
            raise UserError(
                f"fine-tuning: {at} with one prompt a forward ({reason}); set gradient_checkpointing: True, "
                "quantization: nf4 or a smaller max_length"
            )
        self.micro_batch, self._halved = ceil(size / 2), self._halved + 1
        getLogger(__name__).warning(f"fine-tuning: {at}; from here on {self.micro_batch} prompts a forward, not {size}")

    @staticmethod
    def _named(error: NotFiniteError, batches: Sequence[np.ndarray]) -> str:
        """The prompts behind a loss that is not finite; those of the whole step where the gradient is not."""
        found = error.prompts if error.prompts is not None else np.concatenate(list(batches)).tolist()
        more = f" and {len(found) - NAMED_PROMPTS} more" if len(found) > NAMED_PROMPTS else ""
        return f"training prompts, counted from 0: {', '.join(map(str, found[:NAMED_PROMPTS]))}{more}"
