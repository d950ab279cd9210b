"""The files that a fine-tuning writes, and the backbone it loads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.job import BackboneSpec, FinetuneJob
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.step.data_parallel import Workers
from tests.helpers.training import ITEMS, item_tokens

Examples = Callable[[int, int], list[Example]]


def job(folder: Path, tmp_path: Path, tokenizer: Any, examples: list[Example]) -> FinetuneJob:
    return FinetuneJob(
        BackboneSpec(str(folder), "none", "fp32", "cpu"),
        examples,
        None,
        tokenizer,
        FinetuneSettings(batch_size=4, seed=4),
        max_new_tokens=6,
        checkpoint=CheckpointFolder(tmp_path / "running", 0),
        show_progress=False,
    )


def test_files_of_a_job(folder: Path, tmp_path: Path, tokenizer: Any, random_examples: Examples) -> None:
    job(folder, tmp_path, tokenizer, random_examples(8, 0)).run(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "finetune.json", "losses.json", "timing.json"}
    report = json.loads((tmp_path / "finetune.json").read_text())
    assert (report["quantized_layers"], report["prompts"], report["hard_examples"]) == (0, 8, 2)
    assert report["format_failures"] == {"before": 1.0, "after_uniform": 1.0, "after_hard": 1.0}
    assert not {"losses", "model", "seconds", "resumed_at"} & report.keys()
    assert json.loads((tmp_path / "timing.json").read_text()).keys() == {"seconds", "resumed_at"}
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"]) and config["base_model_name_or_path"] is None
    # two steps over eight prompts, then two epochs of one step over the hardest two
    assert len(json.loads((tmp_path / "losses.json").read_text())) == 4


def test_only_the_first_worker_writes(folder: Path, tmp_path: Path, tokenizer: Any, random_examples: Examples) -> None:
    job(folder, tmp_path, tokenizer, random_examples(4, 0)).run(tmp_path, Workers(rank=1, count=1))
    assert list(tmp_path.iterdir()) == []


def test_backbone_with_item_tokens(folder: Path) -> None:
    spec = BackboneSpec(str(folder), "none", "fp32", "cpu")
    plain, tokens = spec.load(None), item_tokens(str(folder))
    assert plain.item_tokens == range(0)
    backbone = spec.load(tokens)
    assert backbone.item_tokens == range(tokens.first, tokens.first + ITEMS)
    assert np.shape(backbone.model.get_input_embeddings().weight)[0] == tokens.first + ITEMS
