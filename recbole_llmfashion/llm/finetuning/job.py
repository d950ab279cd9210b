"""One fine-tuning as plain values: what a process needs to make an adapter, be it this one or a worker elsewhere.

    <folder>/adapter_config.json, adapter_model.safetensors   the adapter
             finetune.json                                    what was measured
             losses.json                                      of each step, in nats a learned token

Paths are absolute, so that they mean the same wherever the process began. Knows no config and no store.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.finetune import CheckpointFolder, finetune, save_adapter
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings
from recbole_llmfashion.llm.generation.generator import DecodingSettings, Generator
from recbole_llmfashion.llm.modeling.backbone import (
    Backbone,
    ComputeDtype,
    Quantization,
    load_backbone,
)
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.response import parse_response

PROBE_PROMPTS = 64


@dataclass(frozen=True)
class BackboneSpec:
    """Which backbone, and how it is loaded.

    Args:
        source: a hub name or a folder.
        quantization, compute_dtype, device: as llm.backbone.load_backbone has them.
    """

    source: str
    quantization: Quantization
    compute_dtype: ComputeDtype
    device: torch.device | str

    def load(self, index: ItemTokens | None) -> Backbone:
        """Freshly loaded, with the tokens of an index where there is one."""
        backbone = load_backbone(self.source, self.quantization, self.compute_dtype, self.device)
        if index is not None:
            add_item_tokens(backbone, index)
        return backbone


@dataclass(frozen=True)
class FinetuneJob:
    """See the module.

    Args:
        backbone: what is tuned.
        examples: prompts and responses.
        index: what names items in them; None for their IDs as text.
        decoder: turns generated ids into text.
        settings: of the fine-tuning.
        max_new_tokens: of the responses whose form is probed.
        checkpoint: where the running state lies.
        show_progress: bars.
    """

    backbone: BackboneSpec
    examples: Sequence[Example]
    index: ItemTokens | None
    decoder: Any
    settings: FinetuneSettings
    max_new_tokens: int
    checkpoint: CheckpointFolder
    show_progress: bool

    def run(self, folder: Path, ranks: Workers = SINGLE_PROCESS) -> None:
        """Fine-tunes, together with the other workers where there are any; the first fills `folder`.

        Raises:
            UserError: as llm.finetune.finetune; on every worker where one of them has it.
        """
        backbone, examples = ranks.agree(lambda: self.backbone.load(self.index)), self.examples
        log = finetune(backbone, examples, self.settings, self.show_progress, self._probe, self.checkpoint, ranks)
        if ranks.first:
            self._save(log, backbone, folder)

    def _probe(self, model: Any) -> float:
        """Share of a fixed sample of prompts whose sampled response has no form."""
        pick = np.linspace(0, len(self.examples) - 1, min(PROBE_PROMPTS, len(self.examples))).astype(int)
        sampling = DecodingSettings(
            decoding="sample", max_new_tokens=self.max_new_tokens, batch_size=32, seed=self.settings.seed
        )
        responses = Generator(model, self.decoder, sampling)([self.examples[i].prompt for i in pick])
        return float(np.mean([not parse_response(text).well_formed for text in responses]))

    def _save(self, log: FinetuneLog, backbone: Backbone, folder: Path) -> None:
        save_adapter(log.model, folder)
        report = {"quantized_layers": backbone.quantized_layers, "prompts": len(self.examples), **log.summary()}
        losses = report.pop("losses")
        (folder / "finetune.json").write_text(json.dumps(report, indent=1))
        (folder / "losses.json").write_text(json.dumps(losses))
