"""QLoRA fine-tuning with the paper's curriculum: one uniform pass, then the hardest prompts again.

Section 4.3 of the paper; docs/method.md, stage 2. Knows token ids only; format failures are counted by a probe that the
caller hands over. With a checkpoint folder a killed fine-tuning goes on within the pass and ends with the same adapter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.curriculum import Passes
from recbole_llmfashion.llm.finetuning.data_parallel import ALONE, Ranks
from recbole_llmfashion.llm.finetuning.perplexity import perplexities
from recbole_llmfashion.llm.modeling.adapter import (
    TargetModules,
    load_adapter,
    new_adapter,
    save_adapter,
)
from recbole_llmfashion.llm.modeling.backbone import Backbone

if TYPE_CHECKING:
    from peft import PeftModel

__all__ = [
    "CheckpointFolder",
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
        hard_choice: perplexity, the paper's; random: as many prompts drawn by chance, which tells what the choice adds.
        batch_size: prompts a forward.
        gradient_accumulation: forwards a step; the loss is the mean over all their response tokens.
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to it.
        warmup_share: share of the steps with a rising rate.
        gradient_checkpointing: recompute activations instead of keeping them.
        seed: of A, dropout and batches.
        row_rate: how far a step moves the rows of items' tokens, all together, in lengths of such a row.
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
    hard_choice: Literal["perplexity", "random"] = "perplexity"
    batch_size: int = 8
    gradient_accumulation: int = 1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_share: float = 0.03
    gradient_checkpointing: bool = False
    seed: int = 0
    row_rate: float = 0.5
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
        micro_batch: prompts a forward at the end; less than the batch size where memory ran out.
        halvings: how often it did.
        resumed_at: the step after which a killed fine-tuning went on, of each time.
        trainable_parameters: of the adapter.
        seconds: in all, perplexity and probes included.
    """

    model: "PeftModel"
    perplexity: dict[str, dict[str, float]] = field(default_factory=dict)
    format_failures: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    hard_examples: int = 0
    micro_batch: int = 0
    halvings: int = 0
    resumed_at: list[int] = field(default_factory=list)
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
    if settings.row_rate < 0:
        raise UserError(f"llm_row_rate: expected 0 or more, found {settings.row_rate}")
    if not 0 <= settings.hard_share <= 1:
        raise UserError(f"hard_share: {settings.hard_share} is no share; take a number from 0 to 1")


def finetune(
    backbone: Backbone,
    examples: Sequence[Example],
    settings: FinetuneSettings,
    show_progress: bool = True,
    probe: Callable[["PeftModel"], float] | None = None,
    checkpoint: CheckpointFolder | None = None,
    ranks: Ranks = ALONE,
) -> FinetuneLog:
    """Trains an adapter: `epochs` uniform passes, then the hardest prompts until they have had `hard_epochs`.

    How hard a prompt is, is the perplexity of its response, measured by the adapter after the uniform passes.

    Args:
        backbone: gets an adapter unless it has one; its `model` is the peft model afterwards.
        examples: prompts and responses, eos last.
        settings: see FinetuneSettings.
        show_progress: bars.
        probe: share of format failures of a model; called before, after the uniform passes and at the end.
        checkpoint: where the state is saved, and taken from where one is there; None keeps nothing.
        ranks: this worker among those that do it together, each with the same arguments; the first alone writes the
            checkpoint and calls the probe.

    Raises:
        UserError: no example, a target that the model lacks, a loss that is not finite, no memory for one prompt, or a
            checkpoint of another fine-tuning.
    """
    _check(settings, examples)
    model = backbone.model if hasattr(backbone.model, "peft_config") else add_adapter(backbone, settings)
    run = Passes(FinetuneLog(model), examples, settings, show_progress, checkpoint, ranks)
    if not ranks.agree(run.resume):
        run.measure(BEFORE, probe)
        torch.manual_seed(settings.seed)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    everything = np.arange(len(examples))
    while run.passed < settings.epochs:
        run.epoch(everything, "all")
    if run.hard is None:
        run.measure(UNIFORM, probe)
        run.choose_hard()
    while run.hard is not None and len(run.hard) and run.passed < settings.epochs + run.hard_passes:
        run.epoch(run.hard, "hardest")
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_disable()
    run.measure(END, probe)
    model.eval()
    return run.finish_log()
