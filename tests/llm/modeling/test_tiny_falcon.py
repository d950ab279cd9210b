"""The tokenizer and the architecture of tiny-falcon, and the backbone that is part of the package."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.backbone import Quantization, load_backbone, load_tokenizer, vocabulary_size
from recbole_llmfashion.llm.modeling.item_embeddings import row_norm
from recbole_llmfashion.llm.modeling.tiny_falcon import (
    TINY_FALCON_FOLDER,
    new_tiny_falcon,
    save_untrained,
    train_tokenizer,
)

TINY = load_tokenizer(str(TINY_FALCON_FOLDER))
WORDS = ["click product ID: B123456, title: blue shoe\n", "search red  sandals, summer 2024\n"] * 4
TOKENIZER = train_tokenizer(WORDS, 400)
TEXT = st.text(max_size=40).filter(lambda text: "<" not in text)  # special tokens are removed by the prompt builder


def ids(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


@settings(max_examples=150, deadline=None)
@given(TEXT, st.sampled_from([TOKENIZER, TINY]))
def test_decoding_restores_any_text(text: str, tokenizer: Any) -> None:
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"], skip_special_tokens=True) == text


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([" ", "\n", ", "]), TEXT), max_size=4), TEXT)
def test_ids_of_concatenated_texts(rest: list[tuple[str, str]], first: str) -> None:
    pieces = [first, *(mark + text for mark, text in rest)]
    assert [token for piece in pieces for token in ids(piece)] == ids("".join(pieces))


@pytest.mark.parametrize("tokenizer", [TOKENIZER, TINY], ids=["trained", "tiny-falcon"])
def test_decoding_restores_hostile_texts(tokenizer: Any) -> None:
    hostile = ["a\x00b", "\u202eshoe", "👟🏽 boots", "x" * 10_000, " ,  ,\n\n", "it's . a , test ! ok"]
    for text in [*hostile, " product ID: B0123, title: Zen Tote"]:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_tokens_of_digits_and_commas() -> None:
    assert (TOKENIZER.pad_token_id, TOKENIZER.eos_token_id) == (0, 1)
    assert ids("<pad><eos>") == [0, 1]
    plain = [token.replace("Ġ", " ") for token in TOKENIZER.tokenize(" B1234567,x")]
    joined = "|".join(plain)
    assert " B|12|34|56|7|,|x" in joined


def test_vocabulary_does_not_depend_on_text_order() -> None:
    assert train_tokenizer(WORDS[::-1], 400).get_vocab() == TOKENIZER.get_vocab()


def test_vocabulary_smaller_than_the_bytes() -> None:
    assert len(train_tokenizer(["a"], 258)) == 258
    with pytest.raises(UserError, match=r"^vocab_size: expected 258 or more .* found 257"):
        train_tokenizer(["a"], 257)


def test_new_tiny_falcon() -> None:
    state = torch.get_rng_state()
    model: Any = new_tiny_falcon(300, 32, 3, 2, seed=5)
    assert torch.equal(state, torch.get_rng_state())
    config = model.config
    assert (config.multi_query, config.parallel_attn, config.bias, config.alibi) == (False, False, False, False)
    assert model.lm_head.weight is model.transformer.word_embeddings.weight
    assert (config.pad_token_id, config.eos_token_id) == (0, 1)
    # embeddings; per layer 12 w^2 of projections and two norms; the last norm
    assert sum(p.numel() for p in model.parameters()) == 300 * 32 + 3 * (12 * 32 * 32 + 4 * 32) + 2 * 32
    same, other = new_tiny_falcon(300, 32, 3, 2, seed=5), new_tiny_falcon(300, 32, 3, 2, seed=6)
    assert torch.equal(same.lm_head.weight, model.lm_head.weight)
    assert not torch.equal(other.lm_head.weight, model.lm_head.weight)


def test_width_that_is_not_a_multiple_of_heads() -> None:
    with pytest.raises(UserError, match=r"^width: expected a multiple of 2 \* heads \(8\) .* found 34"):
        new_tiny_falcon(300, 34, 1, 4, seed=0)


def test_tiny_falcon_folder() -> None:
    files = [path for path in TINY_FALCON_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    weights = [path.name for path in files if path.suffix not in (".json", ".md")]
    assert weights == ["model.safetensors"]
    assert {"config.json", "tokenizer.json", "tokenizer_config.json", "item_rows.json", "README.md"} <= {
        path.name for path in files
    }


def test_tiny_falcon_weights() -> None:
    config = json.loads((TINY_FALCON_FOLDER / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("falcon", ["FalconForCausalLM"])
    assert config["tie_word_embeddings"] and "auto_map" not in config
    tensors = load_file(TINY_FALCON_FOLDER / "model.safetensors")
    assert 1_000_000 <= sum(tensor.numel() for tensor in tensors.values()) <= 2_000_000
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    assert config["vocab_size"] == vocabulary_size(str(TINY_FALCON_FOLDER), TINY) == len(TINY)


def test_tiny_falcon_card() -> None:
    text = (TINY_FALCON_FOLDER / "README.md").read_text()
    parameters = sum(tensor.numel() for tensor in load_file(TINY_FALCON_FOLDER / "model.safetensors").values())
    assert f"{parameters:,} parameters" in text and f"{len(TINY):,} tokens" in text
    assert "No evaluation dataset was used" in text and "Licence: MIT" in text
    norm = re.search(r"norm of item embeddings is ([\d.]+)", text)
    assert norm and float(norm[1]) == pytest.approx(row_norm(str(TINY_FALCON_FOLDER), torch.zeros(1, 1)), abs=1e-3)


@pytest.mark.parametrize(("quantization", "layers"), [("none", 0), ("nf4", 16)])
def test_tiny_falcon_loads(quantization: Quantization, layers: int) -> None:
    backbone = load_backbone(str(TINY_FALCON_FOLDER), quantization, device="cpu")
    assert backbone.quantized_layers == layers
    assert backbone.tokenizer.eos_token_id == backbone.model.config.eos_token_id
    ids = torch.tensor([TINY("Predict the next purchase.\nsearch red boots")["input_ids"]])
    with torch.no_grad():
        assert bool(backbone.model(ids).logits.isfinite().all())


def test_save_untrained(tmp_path: Path) -> None:
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
    assert load_tokenizer(str(tmp_path / "a")).get_vocab() == TINY.get_vocab()
    assert (tmp_path / "a/item_rows.json").read_bytes() == (TINY_FALCON_FOLDER / "item_rows.json").read_bytes()
