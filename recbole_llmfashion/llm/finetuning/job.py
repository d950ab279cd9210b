"""A fine-tuning as plain values that this process or a remote worker can run.

    <folder>/adapter_config.json, adapter_model.safetensors   the adapter
             finetune.json                                    measurements, see FinetuneLog
             timing.json                                      those that differ between equal runs: times, resumptions
             losses.json                                      loss of each step, in nats per target token

Paths are absolute, so that they do not depend on the working directory of the process.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.validation import ValidationRows
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.llm.modeling.adapter import save_adapter
from recbole_llmfashion.llm.modeling.backbone import (
    Backbone,
    ComputeDtype,
    Quantization,
    load_backbone,
)
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.response import parse_response
from recbole_llmfashion.tracking import Track, no_track

PROBE_PROMPTS = 64
TIMING, LOSSES = "timing.json", "losses.json"


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone and how to load it.

    Args:
        source: hub name or folder.
        quantization, compute_dtype, device, revision: see load_backbone.
    """

    source: str
    quantization: Quantization
    compute_dtype: ComputeDtype
    device: torch.device | str
    revision: str | None = None

    def load(self, item_tokens: ItemTokens | None, dropout: float | None = None) -> Backbone:
        """Loads the backbone, and adds the item tokens if there are any; `dropout` as for load_backbone."""
        backbone = load_backbone(
            self.source, self.quantization, self.compute_dtype, self.device, self.revision, dropout
        )
        if item_tokens is not None:
            add_item_tokens(backbone, item_tokens)
        return backbone


@dataclass(frozen=True)
class FinetuneJob:
    """A fine-tuning that can be pickled.

    Args:
        backbone: the model to fine-tune.
        examples: prompts and responses.
        item_tokens: token ids of the items; None where prompts spell IDs as text.
        decoder: decodes generated ids to text.
        settings: of the fine-tuning.
        max_new_tokens: length of the sampled responses whose format is checked; None where responses end with the ID.
        checkpoint: folder of the running state.
        show_progress: whether to show progress bars.
        validation: rows that the epochs are compared by; None without early stopping.
        track: see CurriculumRun; can be pickled.
    """

    backbone: BackboneSpec
    examples: Sequence[Example]
    item_tokens: ItemTokens | None
    decoder: Any
    settings: FinetuneSettings
    max_new_tokens: int | None
    checkpoint: CheckpointFolder
    show_progress: bool
    validation: ValidationRows | None = None
    track: Track = no_track

    def run(self, folder: Path, workers: Workers = SINGLE_PROCESS) -> None:
        """Fine-tunes and writes the result to `folder`; with several workers only the first writes.

        Raises:
            UserError: see `finetune`; an error of one worker is raised on all of them.
        """
        backbone = workers.agree(lambda: self.backbone.load(self.item_tokens, self.settings.dropout))
        probe = None if self.max_new_tokens is None else self._probe
        how = self.settings, self.show_progress, probe, self.checkpoint, workers, self.validation, self.track
        log = finetune(backbone, self.examples, *how)
        if workers.first:
            self._save(log, backbone, folder)

    def _probe(self, model: Any) -> float:
        """Share of a fixed sample of prompts whose sampled response does not follow the response format."""
        pick = np.linspace(0, len(self.examples) - 1, min(PROBE_PROMPTS, len(self.examples))).astype(int)
        assert self.max_new_tokens is not None
        sampling = DecodingSettings(
            decoding="sample", max_new_tokens=self.max_new_tokens, batch_size=32, seed=self.settings.seed
        )
        responses = Generator(model, self.decoder, sampling)([self.examples[i].prompt for i in pick])
        return float(np.mean([not parse_response(text).well_formed for text in responses]))

    def _save(self, log: FinetuneLog, backbone: Backbone, folder: Path) -> None:
        save_adapter(log.model, folder)
        report = {"quantized_layers": backbone.quantized_layers, "prompts": len(self.examples), **log.summary()}
        losses, timing = report.pop("losses"), {name: report.pop(name) for name in ("seconds", "resumed_at")}
        (folder / "finetune.json").write_text(json.dumps(report, indent=1))
        (folder / TIMING).write_text(json.dumps(timing))
        (folder / LOSSES).write_text(json.dumps(losses))
