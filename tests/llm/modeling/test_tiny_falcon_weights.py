"""The backbone that ships with the package, and its shape with random weights. Its weights' values are no business."""

import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from recbole_llmfashion.llm.modeling.backbone import (
    Quantization,
    load_backbone,
    load_tokenizer,
    vocabulary_size,
)
from recbole_llmfashion.llm.modeling.item_embeddings import row_norm
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER, save_untrained

TOKENIZER = load_tokenizer(str(TINY_FALCON_FOLDER))


def test_the_folder_is_small_and_holds_no_pickle() -> None:
    files = [path for path in TINY_FALCON_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    weights = [path.name for path in files if path.suffix not in (".json", ".md")]
    assert weights == ["model.safetensors"]
    assert {"config.json", "tokenizer.json", "tokenizer_config.json", "item_rows.json", "README.md"} <= {
        path.name for path in files
    }


def test_it_is_a_falcon_of_one_to_two_million_parameters() -> None:
    config = json.loads((TINY_FALCON_FOLDER / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("falcon", ["FalconForCausalLM"])
    assert config["tie_word_embeddings"] and "auto_map" not in config
    tensors = load_file(TINY_FALCON_FOLDER / "model.safetensors")
    assert 1_000_000 <= sum(tensor.numel() for tensor in tensors.values()) <= 2_000_000
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    assert config["vocab_size"] == vocabulary_size(str(TINY_FALCON_FOLDER), TOKENIZER) == len(TOKENIZER)


def test_its_card_says_what_it_is() -> None:
    text = (TINY_FALCON_FOLDER / "README.md").read_text()
    parameters = sum(tensor.numel() for tensor in load_file(TINY_FALCON_FOLDER / "model.safetensors").values())
    assert f"{parameters:,} parameters" in text and f"{len(TOKENIZER):,} tokens" in text
    assert "never saw an evaluation dataset" in text and "Licence: MIT" in text
    norm = re.search(r"have length ([\d.]+)", text)
    assert norm and float(norm[1]) == pytest.approx(row_norm(str(TINY_FALCON_FOLDER), torch.zeros(1, 1)), abs=1e-3)


@settings(max_examples=40)
@given(st.text(max_size=40).filter(lambda text: "<" not in text))
def test_its_tokenizer_gives_any_text_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER(text, add_special_tokens=False)["input_ids"]) == text


def test_its_tokenizer_gives_hostile_texts_back() -> None:
    for text in [
        "a\x00b",
        "\u202eshoe",
        "👟🏽 boots",
        "x" * 10_000,
        " ,  ,\n\n",
        " product ID: B0123, title: Zen Tote",
    ]:
        assert TOKENIZER.decode(TOKENIZER(text)["input_ids"]) == text


@pytest.mark.parametrize(("quantization", "layers"), [("none", 0), ("nf4", 16)])
def test_it_loads(quantization: Quantization, layers: int) -> None:
    backbone = load_backbone(str(TINY_FALCON_FOLDER), quantization, device="cpu")
    assert backbone.quantized_layers == layers
    assert backbone.tokenizer.eos_token_id == backbone.model.config.eos_token_id
    ids = torch.tensor([TOKENIZER("Predict the next purchase.\nsearch red boots")["input_ids"]])
    with torch.no_grad():
        assert bool(backbone.model(ids).logits.isfinite().all())


def test_untrained_is_the_same_shape_and_tokenizer_with_weights_of_its_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        save_untrained(tmp_path / name, seed)
    shipped, a, b, c = (
        load_file(folder / "model.safetensors") for folder in (TINY_FALCON_FOLDER, *sorted(tmp_path.iterdir()))
    )
    assert {name: value.shape for name, value in a.items()} == {name: value.shape for name, value in shipped.items()}
    assert all(torch.equal(a[name], b[name]) for name in a)
    matrices = [name for name in a if a[name].ndim == 2]
    assert not any(torch.equal(a[name], c[name]) or torch.equal(a[name], shipped[name]) for name in matrices)
    assert load_tokenizer(str(tmp_path / "a")).get_vocab() == TOKENIZER.get_vocab()
    assert (tmp_path / "a/item_rows.json").read_bytes() == (TINY_FALCON_FOLDER / "item_rows.json").read_bytes()
