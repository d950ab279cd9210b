"""Item embeddings: literal values, in a backbone, trained with an adapter, saved and loaded."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.modeling.adapter import load_adapter, save_adapter
from recbole_llmfashion.llm.modeling.backbone import (
    Backbone,
    Quantization,
    load_backbone,
    vocabulary_size,
)
from recbole_llmfashion.llm.modeling.item_embeddings import (
    ItemWords,
    add_item_tokens,
    read_norm,
    row_norm,
    save_norm,
    token_rows,
)
from recbole_llmfashion.prompt.item_tokens import ItemTokens, atomic_tokens, semantic_tokens

WORDS = [np.array([2, 3, 3]), np.array([3, 4]), np.array([], np.int64)]


def test_units() -> None:
    embedding = torch.tensor([[9.0, 9.0], [9.0, 9.0], [1.0, 0.0], [0.0, 2.0], [3.0, 4.0]])
    rare, common = math.log(4 / 2) + 0.1, math.log(4 / 3) + 0.1  # held by one and by two of three items
    first = np.array([rare * 1, common * 2])  # a repeated word counts once
    second = np.array([rare * 3, common * 2 + rare * 4])
    units = ItemWords(WORDS, 5).units(embedding).numpy()
    assert units == pytest.approx(
        np.array([first / np.linalg.norm(first), second / np.linalg.norm(second), [0, 0]]), abs=1e-6
    )
    assert (rare, common) == pytest.approx((0.793147, 0.387682), abs=1e-6)
    assert units[0] == pytest.approx([0.715078, 0.699045], abs=1e-6)


def test_units_equal_a_dense_product() -> None:
    rng = np.random.default_rng(0)
    words = [rng.integers(0, 30, rng.integers(0, 6)) for _ in range(20)]
    held = np.zeros((20, 30))
    for item, ids in enumerate(words):
        held[item, ids] = 1
    embedding = rng.normal(size=(30, 7))
    dense = (held * (np.log(21 / (held.sum(0) + 1)) + 0.1)) @ embedding
    dense /= np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12)
    assert ItemWords(words, 30).units(torch.tensor(embedding)).numpy() == pytest.approx(dense, abs=1e-6)


def test_gradients_reach_the_words_only() -> None:
    embedding = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    ItemWords(WORDS, 6).units(embedding)[:, 0].sum().backward()
    assert embedding.grad is not None
    assert embedding.grad.abs().sum(1).bool().tolist() == [False, False, True, True, True, False]


def test_token_rows() -> None:
    units = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0]])
    ids = [np.array(pair) for pair in ([10, 12], [10, 13], [11, 12], [14, 14])]
    rows = token_rows(units, ids, first=10, new_tokens=6, norm=2.0)
    half = math.sqrt(2)
    expected = np.array([[half, half], [0, -2], [half, -half], [0, 2], [0, 0], [0, 0]])
    assert rows.numpy() == pytest.approx(expected, abs=1e-6)


def made_index(first: int, items: int = 6, coded: bool = False) -> ItemTokens:
    rng = np.random.default_rng(7)
    words = [rng.integers(2, first, 3) for _ in range(items)]
    tie = rng.permutation(items)
    if coded:
        return semantic_tokens(rng.integers(0, 2, (items, 3)), tie, first, words, "k")
    return atomic_tokens(tie, first, words, "k")


@pytest.mark.parametrize("coded", [False, True])
def test_logits_of_other_tokens_are_unchanged(folder: Path, coded: bool) -> None:
    before, backbone = (load_backbone(str(folder), "none", device="cpu") for _ in range(2))
    first = vocabulary_size(str(folder), before.tokenizer)
    index = made_index(first, coded=coded)
    add_item_tokens(backbone, index)
    embedding = before.model.get_input_embeddings().weight
    assert backbone.item_tokens == range(first, first + index.new_tokens)
    assert first == len(before.tokenizer) == len(embedding)
    weight = backbone.model.get_input_embeddings().weight
    assert weight is backbone.model.get_output_embeddings().weight and len(weight) == first + index.new_tokens
    assert torch.equal(weight[:first], embedding)
    norm = float(embedding.norm(dim=1).mean())
    units = ItemWords(index.words, first).units(embedding)
    assert torch.allclose(weight[first:], token_rows(units, index.ids, first, index.new_tokens, norm), atol=1e-6)
    held = sorted({int(token) - first for ids in index.ids for token in ids})
    assert weight[first:].norm(dim=1)[held].tolist() == pytest.approx([norm] * len(held), rel=1e-5)
    ids = torch.randint(2, first, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        old, new = before.model(ids).logits, backbone.model(ids).logits
    assert new.shape[-1] == first + index.new_tokens
    torch.testing.assert_close(new[..., :first], old, rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", ["", "[]", "3", '{"norm": null}', '{"norm": "x"}', '{"norm": NaN}', '{"norm": -1}'])
def test_a_norm_of_another_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "item_rows.json").write_text(text)
    with pytest.raises(
        UserError, match=r"item_rows\.json: (cannot be read as the norm|expected a norm above 0)"
    ) as error:
        read_norm(str(tmp_path))
    assert "\n" not in str(error.value)


def test_row_norm(folder: Path, tmp_path: Path) -> None:
    embedding = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert row_norm("some/hub-name", embedding) == 3.0
    save_norm(1.75, tmp_path)
    assert row_norm(str(tmp_path), embedding) == 1.75
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    save_norm(0.5, copy)
    backbone = load_backbone(str(copy), "none", device="cpu")
    first = len(backbone.tokenizer)
    add_item_tokens(backbone, made_index(first))
    assert backbone.model.get_input_embeddings().weight[first:].norm(dim=1).tolist() == pytest.approx([0.5] * 6)


def untied() -> Backbone:
    """A model with an untied output head."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=False,
        eos_token_id=1,
        pad_token_id=0,
    )
    return Backbone(LlamaForCausalLM(config).eval(), None, "llama", 0)


def with_items(load: Callable[[], Backbone], coded: bool = False) -> tuple[Backbone, ItemTokens]:
    backbone = load()
    index = made_index(len(backbone.model.get_input_embeddings().weight), coded=coded)
    add_item_tokens(backbone, index)
    return backbone, index


def trained(load: Callable[[], Backbone], to: Path, coded: bool = False) -> Backbone:
    """A saved adapter after a few steps on prompts with items."""
    backbone, index = with_items(load, coded)
    rng = np.random.default_rng(3)
    examples = [
        Example(
            np.r_[5, *(index.ids[i] for i in rng.integers(0, 6, 4)), 6].astype(np.int32),
            np.r_[index.ids[k % 6], 1].astype(np.int32),
            np.array([1, 2]),
        )
        for k in range(12)
    ]
    settings = FinetuneSettings(learning_rate=3e-2, batch_size=6, curriculum_share=0.0, lora_r=4)
    save_adapter(finetune(backbone, examples, settings, False).model, to)
    return backbone


def logits(backbone: Backbone, index: ItemTokens) -> torch.Tensor:
    ids = torch.tensor([[5, *np.concatenate(index.ids).tolist()[:9], 6]])
    with torch.no_grad():
        return backbone.model.eval()(ids).logits


def loader(kind: str, folder: Path) -> Callable[[], Backbone]:
    quantization: Quantization = "nf4" if kind == "nf4" else "none"
    return untied if kind == "untied" else lambda: load_backbone(str(folder), quantization, device="cpu")


@pytest.mark.parametrize(("kind", "coded"), [("none", False), ("none", True), ("nf4", False), ("untied", False)])
def test_trained_rows_are_saved_and_loaded(folder: Path, tmp_path: Path, kind: str, coded: bool) -> None:
    load = loader(kind, folder)
    backbone = trained(load, tmp_path, coded)
    other, index = with_items(load, coded)
    fresh = logits(other, index)
    model = load_adapter(other, tmp_path)
    torch.testing.assert_close(logits(other, index), logits(backbone, index), rtol=1e-4, atol=1e-5)
    assert float((logits(other, index) - fresh).abs().max()) > 1e-2
    assert not [name for name, _ in model.named_parameters() if "trainable_tokens" in name]  # written, not put together
    assert not [p for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize("kind", ["none", "untied"])
def test_rows_of_an_untied_head_are_trained(folder: Path, tmp_path: Path, kind: str) -> None:
    load = loader(kind, folder)
    trained(load, tmp_path)
    (fresh, _), (other, _) = with_items(load), with_items(load)
    load_adapter(other, tmp_path)
    old = slice(0, fresh.item_tokens.start)
    at = slice(fresh.item_tokens.start, None)
    for side in ("get_input_embeddings", "get_output_embeddings"):
        before, after = (getattr(b.model, side)().weight for b in (fresh, other))
        assert torch.equal(before[old], after[old])
        assert bool(((before[at] - after[at]).abs().amax(1) > 1e-3).all())


@pytest.mark.parametrize("kind", ["none", "nf4"])
def test_load_without_trained_rows(folder: Path, tmp_path: Path, kind: str) -> None:
    load = loader(kind, folder)
    backbone = trained(load, tmp_path)
    (fresh, _), (other, _) = with_items(load), with_items(load)
    model = load_adapter(other, tmp_path, rows=False)
    assert torch.equal(model.get_input_embeddings().weight, fresh.model.get_input_embeddings().weight)
    saved = {name: p for name, p in backbone.model.named_parameters() if "lora_" in name}
    found = {name: p for name, p in model.named_parameters() if "lora_" in name}
    assert len(found) == 32 and found.keys() == saved.keys()
    assert all(torch.equal(found[name], saved[name]) for name in found)
    assert any(float(p.abs().max()) > 0 for name, p in found.items() if "lora_B" in name)


def test_rows_of_another_catalogue(folder: Path, tmp_path: Path) -> None:
    trained(loader("none", folder), tmp_path)
    other = load_backbone(str(folder), "none", device="cpu")
    add_item_tokens(other, made_index(len(other.tokenizer), items=5))
    with pytest.raises(UserError, match="does not fit"):
        load_adapter(other, tmp_path)
