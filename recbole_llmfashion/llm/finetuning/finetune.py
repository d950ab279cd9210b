"""QLoRA fine-tuning with the paper's curriculum: epochs over all prompts, then more over the hardest ones.

Section 4.3 of the paper; docs/method.md, stage 2. With a checkpoint folder an interrupted fine-tuning resumes within
the epoch and ends with the same adapter.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.curriculum import CurriculumRun
from recbole_llmfashion.llm.finetuning.neighbor_rows import add_neighbors
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.validation import ValidationRows
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.tracking import Track, no_track

if TYPE_CHECKING:
    from peft import PeftModel

BEFORE, UNIFORM, END = "before", "after_uniform", "after_hard"


def _check(settings: FinetuneSettings, examples: Sequence[Example], validation: ValidationRows | None) -> None:
    if not examples:
        raise UserError("fine-tuning: there is no training prompt; add users with at least three item actions")
    if settings.epochs < 1 or settings.gradient_accumulation_steps < 1 or settings.batch_size < 1:
        raise UserError(
            "llm_epochs, llm_batch_size, gradient_accumulation_steps: expected 1 or more each, found "
            f"{settings.epochs}, {settings.batch_size}, {settings.gradient_accumulation_steps}"
        )
    if settings.item_embedding_lr < 0:
        raise UserError(f"item_embedding_lr: expected 0 or more, found {settings.item_embedding_lr}")
    if not 0 <= settings.curriculum_share <= 1:
        raise UserError(f"curriculum_share: expected a number from 0 to 1, found {settings.curriculum_share}")
    if (settings.early_stopping_patience > 0) != (validation is not None):
        raise ValueError("validation rows are needed with an early_stopping_patience above 0, and only then")


def finetune(
    backbone: Backbone,
    examples: Sequence[Example],
    settings: FinetuneSettings,
    show_progress: bool = True,
    probe: Callable[["PeftModel"], float] | None = None,
    checkpoint: CheckpointFolder | None = None,
    workers: Workers = SINGLE_PROCESS,
    validation: ValidationRows | None = None,
    track: Track = no_track,
) -> FinetuneLog:
    """Trains an adapter for `epochs` epochs on all prompts, then on the hardest ones up to `curriculum_epochs` epochs.

    With validation rows each epoch is scored, the adapter of the best one is kept, and the fine-tuning ends after
    `early_stopping_patience` epochs without a better one, in whichever phase.

    The difficulty of a prompt is its perplexity under the adapter after the first phase, see `read_as`.

    Args:
        backbone: a new adapter is added unless it has one; afterwards `backbone.model` is the peft model.
        examples: prompts and responses; each response ends with eos.
        settings: see FinetuneSettings.
        show_progress: whether to show progress bars.
        probe: share of format failures of a model; called before training, after the first phase and at the end.
        checkpoint: where the state is saved, and resumed from if there is one; None saves nothing.
        workers: this process among the data-parallel workers, each called with the same arguments; only the first
            writes the checkpoint and calls the probe.
        validation: rows that the epochs are compared by; given if and only if early_stopping_patience is above 0.
        track: see CurriculumRun.

    Returns:
        the log; its model is in eval mode.

    Raises:
        UserError: no examples, invalid settings, a target module that the model lacks, a loss that is not finite, not
            enough memory for one prompt, or a checkpoint of another fine-tuning.
    """
    _check(settings, examples, validation)
    if not hasattr(backbone.model, "peft_config"):
        if settings.item_embedding_init == "neighbors":
            add_neighbors(backbone.model, backbone.item_tokens, examples)
        new_adapter(
            backbone,
            lora_r=settings.lora_r,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.lora_dropout,
            lora_target_modules=settings.lora_target_modules,
            seed=settings.seed,
        )
    model = backbone.model
    log, tokens = FinetuneLog(model), backbone.item_tokens
    run = CurriculumRun(log, examples, settings, show_progress, checkpoint, workers, validation, tokens, track)
    if not workers.agree(run.resume):
        run.measure(BEFORE, probe)
        torch.manual_seed(settings.seed)
    run.train_step.recompute.start()
    everything = np.arange(len(examples))
    while run.epochs_done < settings.epochs and not run.stopping.stop:
        run.epoch(everything, "all")
    if run.hard is None:
        run.measure(UNIFORM, probe)
        run.choose_hard()
    last = settings.epochs + run.extra_epochs
    while run.hard is not None and len(run.hard) and run.epochs_done < last and not run.stopping.stop:
        run.epoch(run.hard, "hardest")
    run.stopping.restore()
    run.train_step.recompute.stop()
    run.measure(END, probe)
    model.eval()
    return run.finish_log()
