"""QLoRA fine-tuning with the paper's curriculum: one uniform pass, then the hardest prompts again.

Section 4.3 of the paper; docs/method.md, stage 2. Knows token ids only; format failures are counted by a probe that the
caller hands over.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.adapter import TargetModules, load_adapter, new_adapter, save_adapter
from recbole_llmfashion.llm.backbone import Backbone
from recbole_llmfashion.llm.examples import Example, batches_by_length, collate
from recbole_llmfashion.llm.loss import response_loss
from recbole_llmfashion.llm.optimizer import Optimizer, linear_rate
from recbole_llmfashion.llm.perplexity import hardest, pad_id, perplexities

if TYPE_CHECKING:
    from peft import PeftModel

__all__ = [
    "FinetuneLog",
    "FinetuneSettings",
    "add_adapter",
    "finetune",
    "load_adapter",
    "perplexities",
    "save_adapter",
]

BEFORE, UNIFORM, END = "before", "after_uniform", "after_hard"


@dataclass(frozen=True)
class FinetuneSettings:
    """The paper's numbers (section 5.1).

    Args:
        lora_r, lora_alpha, lora_dropout: of LoRA.
        lora_target_modules: auto, or names of linear layers.
        learning_rate: peak of AdamW; linear warm-up, then linear to zero.
        epochs: passes over all prompts.
        hard_share: share of prompts with the highest perplexity after those passes.
        hard_epochs: passes over them in all, the uniform ones included.
        batch_size: prompts a forward.
        gradient_accumulation: forwards a step; the loss is the mean over all their response tokens.
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to it.
        warmup_share: share of the steps with a rising rate.
        gradient_checkpointing: recompute activations instead of keeping them.
        seed: of A, dropout and batches.
        perplexity_sample: examples on which perplexity is logged at the three points; the choice of the hardest
            always reads all of them.
    """

    lora_r: int = 16
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    lora_target_modules: TargetModules = "auto"
    learning_rate: float = 2e-5
    epochs: int = 1
    hard_share: float = 0.2
    hard_epochs: int = 3
    batch_size: int = 8
    gradient_accumulation: int = 1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_share: float = 0.03
    gradient_checkpointing: bool = False
    seed: int = 0
    perplexity_sample: int = 512


@dataclass
class FinetuneLog:
    """What happened.

    Args:
        model: the trained peft model, in eval mode; also the backbone's model.
        perplexity: mean and median of the response's perplexity by point: before, after_uniform, after_hard.
        format_failures: the probe's value at those points; empty without a probe.
        losses: nats a response token, of each step.
        tokens: tokens read in training, padding excluded.
        hard_examples: prompts that trained longer.
        trainable_parameters: of the adapter.
        seconds: in all, perplexity and probes included.
    """

    model: "PeftModel"
    perplexity: dict[str, dict[str, float]] = field(default_factory=dict)
    format_failures: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    hard_examples: int = 0
    trainable_parameters: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """All but the model, ready for JSON."""
        return {key: value for key, value in vars(self).items() if key != "model"}


def add_adapter(backbone: Backbone, settings: FinetuneSettings) -> "PeftModel":
    """Puts a fresh adapter on a backbone whose weights are frozen then; see adapter.new_adapter."""
    return new_adapter(
        backbone,
        settings.lora_r,
        settings.lora_alpha,
        settings.lora_dropout,
        settings.lora_target_modules,
        settings.seed,
    )


def _check(settings: FinetuneSettings, examples: Sequence[Example]) -> None:
    if not examples:
        raise UserError("fine-tuning: there is no training prompt")
    if settings.epochs < 1 or settings.gradient_accumulation < 1 or settings.batch_size < 1:
        raise UserError("fine-tuning: llm_epochs, llm_batch_size and gradient_accumulation must be 1 or more")
    if not 0 <= settings.hard_share <= 1:
        raise UserError(f"hard_share: {settings.hard_share} is no share; take a number from 0 to 1")


class _Run:
    """One fine-tuning: the optimizer, the schedule over both phases, and the log."""

    def __init__(
        self, model: Any, examples: Sequence[Example], settings: FinetuneSettings, show_progress: bool
    ) -> None:
        self.model, self.examples, self.settings, self.show_progress = model, examples, settings, show_progress
        self.rng = np.random.default_rng(settings.seed)
        self.lengths = np.asarray([len(example) for example in examples])
        self.responses = np.asarray([len(example.response) for example in examples])
        self.device = next(model.parameters()).device
        scaled = self.device.type == "cuda" and model.dtype == torch.float16
        self.optimizer = Optimizer(
            model.parameters(),
            settings.learning_rate,
            settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            scaled=scaled,
        )
        self.hard_passes = max(0, settings.hard_epochs - settings.epochs)
        self.hard_count = round(settings.hard_share * len(examples)) if self.hard_passes else 0
        passes = settings.epochs * self._steps(len(examples)) + self.hard_passes * self._steps(self.hard_count)
        self.total, self.warmup = passes, ceil(settings.warmup_share * passes)
        self.log = FinetuneLog(model, trainable_parameters=sum(p.numel() for p in self.optimizer.parameters))

    def _steps(self, examples: int) -> int:
        return ceil(ceil(examples / self.settings.batch_size) / self.settings.gradient_accumulation)

    def epoch(self, chosen: np.ndarray, name: str) -> None:
        """One pass over some examples."""
        self.model.train()
        batches = [chosen[b] for b in batches_by_length(self.lengths[chosen], self.settings.batch_size, self.rng)]
        group = self.settings.gradient_accumulation
        starts = range(0, len(batches), group)
        for start in tqdm(starts, desc=f"fine-tuning, {name}", unit="step", disable=not self.show_progress):
            self._step(batches[start : start + group])

    def _step(self, batches: list[np.ndarray]) -> None:
        tokens = sum(int(self.responses[batch].sum()) for batch in batches)
        loss = 0.0
        for indices in batches:
            batch = collate([self.examples[i] for i in indices], pad_id(self.model))
            sums, _ = response_loss(self.model, batch.to(self.device))
            loss += self.optimizer.backward(sums.sum() / tokens)
            self.log.tokens += int(self.lengths[indices].sum())
        self.optimizer.step(linear_rate(self.optimizer.steps, self.warmup, self.warmup, self.total, 0.0))
        self.log.losses.append(loss)

    def measure(self, point: str, probe: Callable[["PeftModel"], float] | None) -> None:
        """Logs perplexity on a fixed sample, and the probe; leaves the random numbers of the training alone."""
        size = min(self.settings.perplexity_sample, len(self.examples))
        sample = np.linspace(0, len(self.examples) - 1, size).astype(int)
        examples = [self.examples[i] for i in sample]
        values = perplexities(self.model, examples, self.settings.batch_size, self.show_progress)
        self.log.perplexity[point] = {"mean": float(values.mean()), "median": float(np.median(values))}
        if probe is not None:
            with torch.random.fork_rng():
                self.model.eval()
                self.log.format_failures[point] = float(probe(self.model))


def finetune(
    backbone: Backbone,
    examples: Sequence[Example],
    settings: FinetuneSettings,
    show_progress: bool = True,
    probe: Callable[["PeftModel"], float] | None = None,
) -> FinetuneLog:
    """Trains an adapter: `epochs` uniform passes, then the hardest prompts until they have had `hard_epochs`.

    How hard a prompt is, is the perplexity of its response, measured by the adapter after the uniform passes.

    Args:
        backbone: gets an adapter unless it has one; its `model` is the peft model afterwards.
        examples: prompts and responses, eos last.
        settings: see FinetuneSettings.
        show_progress: bars.
        probe: share of format failures of a model; called before, after the uniform passes and at the end.

    Raises:
        UserError: no example, a target that the model lacks, or a loss that is not finite.
    """
    started = time.monotonic()
    _check(settings, examples)
    model = backbone.model if hasattr(backbone.model, "peft_config") else add_adapter(backbone, settings)
    run = _Run(model, examples, settings, show_progress)
    run.measure(BEFORE, probe)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    torch.manual_seed(settings.seed)
    everything = np.arange(len(examples))
    for _ in range(settings.epochs):
        run.epoch(everything, "all")
    run.measure(UNIFORM, probe)
    if run.hard_count:
        values = perplexities(model, examples, settings.batch_size, show_progress)
        chosen = hardest(values, settings.hard_share)
        for _ in range(run.hard_passes):
            run.epoch(chosen, "hardest")
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_disable()
    run.measure(END, probe)
    model.eval()
    run.log.hard_examples = run.hard_count
    run.log.seconds = round(time.monotonic() - started, 1)
    return run.log
