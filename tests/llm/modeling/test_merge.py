"""A merged model has the logits of the backbone with its adapter and needs only transformers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.modeling.adapter import load_adapter, save_adapter
from recbole_llmfashion.llm.modeling.backbone import Quantization, load_backbone
from recbole_llmfashion.llm.modeling.merge import merge_adapter

Examples = Callable[[int, int], list[Example]]


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_merged_model_has_the_same_logits(
    folder: Path, tmp_path: Path, random_examples: Examples, quantization: Quantization
) -> None:
    trained = load_backbone(str(folder), quantization, device="cpu")
    settings = FinetuneSettings(learning_rate=2e-2, batch_size=8, curriculum_share=0.0)
    save_adapter(finetune(trained, random_examples(16, 1), settings, False).model, tmp_path / "adapter")
    merge_adapter(load_backbone(str(folder), quantization, device="cpu"), tmp_path / "adapter", tmp_path / "merged")

    adapted = load_adapter(load_backbone(str(folder), quantization, device="cpu"), tmp_path / "adapter")
    merged, bare = load_backbone(str(tmp_path / "merged"), "none"), load_backbone(str(folder), quantization)
    ids = torch.randint(2, 300, (3, 25), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found, before = adapted(ids).logits, merged.model(ids).logits, bare.model(ids).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert float((before - expected).abs().max()) > 1e-2
    assert merged.tokenizer.get_vocab() == bare.tokenizer.get_vocab()
    assert "quantization_config" not in json.loads((tmp_path / "merged/config.json").read_text())
    weights = load_file(tmp_path / "merged/model.safetensors")
    plain = load_file(folder / "model.safetensors")
    assert {name: value.shape for name, value in weights.items()} == {n: v.shape for n, v in plain.items()}


def test_folder_without_adapter(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"adapter_config\.json is missing"):
        merge_adapter(load_backbone(str(folder), "none", device="cpu"), tmp_path, tmp_path / "merged")
