"""QLoRA fine-tuning with the paper's curriculum: one uniform pass, then the hardest prompts again.

Section 4.3 of the paper; docs/method.md, stage 2. Knows token ids only; format failures are counted by a probe that the
caller hands over. With a checkpoint folder a killed fine-tuning goes on within the pass and ends with the same adapter.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.curriculum import CurriculumRun
from recbole_llmfashion.llm.finetuning.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.perplexity import perplexities
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings
from recbole_llmfashion.llm.modeling.adapter import (
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
    if settings.epochs < 1 or settings.gradient_accumulation_steps < 1 or settings.batch_size < 1:
        raise UserError("fine-tuning: llm_epochs, llm_batch_size and gradient_accumulation_steps must be 1 or more")
    if settings.item_embedding_lr < 0:
        raise UserError(f"item_embedding_lr: expected 0 or more, found {settings.item_embedding_lr}")
    if not 0 <= settings.curriculum_share <= 1:
        raise UserError(f"curriculum_share: {settings.curriculum_share} is no share; take a number from 0 to 1")


def finetune(
    backbone: Backbone,
    examples: Sequence[Example],
    settings: FinetuneSettings,
    show_progress: bool = True,
    probe: Callable[["PeftModel"], float] | None = None,
    checkpoint: CheckpointFolder | None = None,
    ranks: Workers = SINGLE_PROCESS,
) -> FinetuneLog:
    """Trains an adapter: `epochs` uniform passes, then the hardest prompts until they have had `curriculum_epochs`.

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
    run = CurriculumRun(FinetuneLog(model), examples, settings, show_progress, checkpoint, ranks)
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
