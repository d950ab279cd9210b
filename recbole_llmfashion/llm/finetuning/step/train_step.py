"""An optimizer step of a fine-tuning: forwards, backwards, the update, and handling of memory errors and NaN.

    loss of a step = sum of the token losses of all its prompts / number of target tokens of all its prompts

The loss does not depend on how the prompts are divided into forwards or among workers (data_parallel.py).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from logging import getLogger
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.cpu.dropout import fast_dropout
from recbole_llmfashion.cpu.memory import free_memory
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.compiling import CompiledLayers
from recbole_llmfashion.llm.finetuning.perplexity import pad_id
from recbole_llmfashion.llm.finetuning.step.captured_gradients import CapturedGradients
from recbole_llmfashion.llm.finetuning.step.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.step.history_dropout import history_dropout
from recbole_llmfashion.llm.finetuning.step.kept_memory import MARGIN, kept_bytes
from recbole_llmfashion.llm.finetuning.step.loss import has_plain_head, response_loss
from recbole_llmfashion.llm.finetuning.step.optimizer import NotFiniteError, Optimizer, Scheduler, scheduled_rate
from recbole_llmfashion.llm.finetuning.step.recompute import Checkpointing, Recompute
from recbole_llmfashion.llm.layers.falcon import fused_falcon
from recbole_llmfashion.llm.layers.fused_lora import fast_lora
from recbole_llmfashion.llm.modeling.adapter import ROWS, causal_lm

MAX_PROMPTS_IN_MESSAGE = 32


class TrainStep:
    """Optimizer steps over examples by index.

    Args:
        model: a peft model on its device.
        examples: prompts and responses.
        learning_rate, weight_decay, max_grad_norm: of AdamW.
        warmup, total: steps of the learning rate warm-up, and of the whole training.
        micro_batch: maximum number of prompts per forward.
        item_embedding_lr: norm of one update of the item embeddings, relative to the norm of one row.
        workers: this process among the data-parallel workers.
        scheduler: the learning rate by step, see `scheduled_rate`.
        item_tokens: ids of the item tokens, for `history_dropout`.
        history_dropout, label_smoothing, gradient_checkpointing, torch_compile, cuda_graphs, fast_dropout: see
            FinetuneSettings.

    Attributes:
        micro_batch: halved each time this worker runs out of memory; on a CPU, what its free memory allows.
        recompute: the layers with gradient checkpointing; with auto, more of them before the micro-batch is halved.
        compiled: the decoder layers for torch.compile; None without it.
        captured: forward and backward as CUDA graphs; None without `cuda_graphs`.
        halvings: number of times that any worker ran out of memory.
        tokens: tokens read so far, without padding.
        losses: loss of each step, in nats per target token.

    Raises:
        UserError: see CompiledLayers.
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
        workers: Workers = SINGLE_PROCESS,
        scheduler: Scheduler = "linear",
        item_tokens: range = range(0),
        history_dropout: float = 0.0,
        label_smoothing: float = 0.0,
        gradient_checkpointing: Checkpointing = False,
        torch_compile: bool = False,
        cuda_graphs: bool = False,
        fast_dropout: bool = False,
    ) -> None:
        self.recompute = Recompute(model, gradient_checkpointing)
        self.compiled = CompiledLayers(model) if torch_compile else None
        self.model, self.examples, self.workers = model, examples, workers
        self.lengths = np.asarray([len(example) for example in examples])
        self.target_tokens = np.asarray([example.target_tokens for example in examples])
        self.device = next(model.parameters()).device
        scaled = model.dtype == torch.float16
        rows = [value for name, value in model.named_parameters() if ROWS in name and value.requires_grad]
        row_norm = float(rows[0].detach().float().norm(dim=1).mean()) if rows else 0.0
        self.optimizer = Optimizer(
            model.parameters(),
            learning_rate,
            weight_decay,
            max_grad_norm=max_grad_norm,
            scaled=scaled,
            tables=rows,
            table_rate=item_embedding_lr * row_norm,
            cuda_graphs=cuda_graphs,
        )
        self.warmup, self.total, self.micro_batch, self.scheduler = warmup, total, micro_batch, scheduler
        self.item_tokens, self.history_dropout, self.label_smoothing = item_tokens, history_dropout, label_smoothing
        self.fast_dropout = fast_dropout
        self.halvings = self._halved = self.tokens = 0
        self._measured = self.device.type != "cpu" or torch_compile or cuda_graphs
        self.losses: list[float] = []
        self.captured: CapturedGradients | None = None
        if cuda_graphs:
            self.captured = CapturedGradients(model, self.optimizer, self._layers, label_smoothing, pad_id(model))

    def step(self, batches: Sequence[np.ndarray]) -> float:
        """Makes one step on the prompts of all batches, at least one forward per batch; returns its loss.

        Raises:
            NotFiniteError: the loss or the gradient is NaN or infinite; names the prompts. The adapter is unchanged.
            UserError: out of memory with one prompt per forward.
        """
        if not self._measured:
            self._fit_memory()
        try:
            loss = self._accumulate(batches)
            self.optimizer.step(scheduled_rate(self.scheduler, self.optimizer.steps, self.warmup, self.total))
        except NotFiniteError as error:
            self.optimizer.clear()
            raise NotFiniteError(f"{error}; {self._describe_prompts(error, batches)}") from None
        self.tokens += sum(int(self.lengths[batch].sum()) for batch in batches)
        self.losses.append(loss)
        return loss

    def _fit_memory(self) -> None:
        """Takes fewer prompts per forward where this CPU has no memory for as many of the longest."""
        self._measured, longest = True, [int(self.lengths.argmax())]
        with self._layers():
            need = MARGIN * kept_bytes(lambda: self._losses(longest), self.model)
        free, wanted = free_memory() / self.workers.count, min(self.micro_batch, len(self.examples))
        if wanted * need <= free:
            return
        self.micro_batch = max(1, int(free / need))
        getLogger(__name__).warning(
            f"fine-tuning: {wanted} prompts per forward need {wanted * need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
            f"free; {self.micro_batch} from now on"
        )

    def _accumulate(self, batches: Sequence[np.ndarray]) -> float:
        """Computes the gradients of a step, summed over workers, and returns its loss."""
        tokens = sum(int(self.target_tokens[batch].sum()) for batch in batches)
        parts, self._halved = [self.workers.part(batch) for batch in batches], 0

        def own_part() -> float:
            loss = None
            while loss is None:
                loss = self._gradients(parts, tokens)
            return loss

        loss = self.workers.agree(own_part)
        self.workers.add_gradients(self.optimizer.parameters)
        loss, halved = self.workers.total(np.asarray([loss, self._halved])).tolist()
        self.halvings += int(halved)
        return loss

    def _gradients(self, batches: Sequence[np.ndarray], tokens: int) -> float | None:
        """Computes the gradients of one worker's part of a step and returns its loss; None if memory ran out.

        In that case more layers are recomputed or the micro-batch is halved, and the caller repeats the part. Other
        workers are not affected, because nothing is summed before every worker has all of its gradients.
        """
        parts = [batch[i : i + self.micro_batch] for batch in batches for i in range(0, len(batch), self.micro_batch)]
        try:
            if self.captured is not None and not self.recompute.count:
                return sum(self._replay(self.captured, part, tokens) for part in parts)
            with self._layers() as collect:
                loss = 0.0
                for part in parts:
                    loss += self._forward(part, tokens)
                    collect()
                return loss
        except torch.cuda.OutOfMemoryError as error:
            reason = " ".join(str(error).split())[:160]
        # outside of the except clause, where the traceback no longer keeps the activations alive
        self._halve(max(map(len, parts)), reason)
        return None

    @contextmanager
    def _layers(self) -> Iterator[Callable[[], None]]:
        """The layers of a training step, with dropout of items; yields what is to be called after each backward."""
        dropped = history_dropout(self.model, self.item_tokens, self.history_dropout)
        with self._fast_layers() as collect, dropped:
            yield collect

    @contextmanager
    def _fast_layers(self) -> Iterator[Callable[[], None]]:
        """The layers as they run fastest; yields what is to be called after each backward."""
        if self.compiled is None:
            lora = fast_lora(self.model, self.fast_dropout)
            with fast_dropout(self.fast_dropout), lora as copies, fused_falcon(self.model):
                yield copies.collect
            return
        has_plain_head(causal_lm(self.model))  # probes the model once, in a shape that no graph is worth
        with self.compiled.attached(), fused_falcon(self.model, traced=True):
            yield lambda: None

    def _forward(self, indices: np.ndarray, tokens: int) -> float:
        loss = self._losses(indices).sum() / tokens
        with self._named(indices):
            return self.optimizer.backward(loss)

    def _losses(self, indices: Iterable[int]) -> Tensor:
        """The sum of the token losses of each prompt [B]."""
        batch = collate([self.examples[i] for i in indices], pad_id(self.model))
        if self.compiled is not None:
            batch = self.compiled.padded(batch, self.micro_batch, pad_id(self.model))
        return response_loss(self.model, batch.to(self.device), self.label_smoothing)[0]

    def _replay(self, captured: CapturedGradients, indices: np.ndarray, tokens: int) -> float:
        batch = collate([self.examples[i] for i in indices], pad_id(self.model))
        loss = captured(batch, self.micro_batch, tokens)
        with self._named(indices):
            return self.optimizer.finite(loss)

    @staticmethod
    @contextmanager
    def _named(indices: np.ndarray) -> Iterator[None]:
        """Gives the prompts of a forward to the error that its loss is not finite."""
        try:
            yield
        except NotFiniteError as error:
            error.prompts = indices.tolist()
            raise

    def _halve(self, size: int, reason: str) -> None:
        self.optimizer.clear()
        if self.captured is not None:
            self.captured.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        where = f"out of memory at step {self.optimizer.steps + 1}"
        if self.recompute.more():
            layers = f"{self.recompute.count} of {self.recompute.total} layers"
            graphs = ", without CUDA graphs" if self.captured is not None else ""
            getLogger(__name__).warning(
                f"fine-tuning: {where}; the activations of {layers} are recomputed from now on{graphs}"
            )
            return
        if size == 1:
            raise UserError(
                f"fine-tuning: {where} with one prompt per forward ({reason}); set gradient_checkpointing: auto, "
                "quantization: nf4 or a smaller max_length"
            )
        self.micro_batch, self._halved = ceil(size / 2), self._halved + 1
        getLogger(__name__).warning(
            f"fine-tuning: {where}; {self.micro_batch} prompts per forward from now on, not {size}"
        )

    @staticmethod
    def _describe_prompts(error: NotFiniteError, batches: Sequence[np.ndarray]) -> str:
        """Names the prompts of a loss that is not finite, or those of the whole step if the gradient is not."""
        prompts = error.prompts if error.prompts is not None else np.concatenate(list(batches)).tolist()
        rest = len(prompts) - MAX_PROMPTS_IN_MESSAGE
        more = f" and {rest} more" if rest > 0 else ""
        return f"training prompts, counted from 0: {', '.join(map(str, prompts[:MAX_PROMPTS_IN_MESSAGE]))}{more}"
