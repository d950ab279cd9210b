import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch.nn.functional import normalize

from recbole_llmfashion.embedding import clip_text
from recbole_llmfashion.embedding.clip_text import ClipSettings, ClipText, check_clip, load_clip, train_clip
from recbole_llmfashion.errors import UserError
from tests.helpers.corpus import recall, shop, shuffled

SMALL = ClipSettings(
    vocab_size=300, context_length=12, width=32, embed_dim=24, epochs=12, batch_size=64, learning_rate=3e-3, seed=1
)
TINY = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 8, "layers": 1, "width": 64, "patch_size": 4},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def trained() -> ClipText:
    return train_clip(shop(0)[0], SMALL, show_progress=False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP that open_clip knows by name, and its weights in a file."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-test.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(open_clip.create_model("tiny-test").state_dict(), folder / "tiny.pt")
    return folder / "tiny.pt"


def test_trained_tower_generalizes_to_new_queries(trained: ClipText) -> None:
    _, held, catalogue = shop(0)
    right = [catalogue.index(title) for _, title in held]
    # chance is 3 / 120
    assert recall(trained.encode([q for q, _ in held]), trained.encode(catalogue), right, 3) > 0.6


def test_trained_tower_does_not_learn_from_shuffled_pairs() -> None:
    train, held, catalogue = shop(0)
    model = train_clip(shuffled(train, 5), SMALL, show_progress=False)
    right = [catalogue.index(title) for _, title in held]
    assert recall(model.encode([q for q, _ in held]), model.encode(catalogue), right, 3) < 0.1


def test_encode(trained: ClipText) -> None:
    texts = ["red boots", "", "handbag", "red boots", "word " * 500]
    vectors = trained.encode(texts, batch_size=2)
    assert vectors.shape == (5, 24)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.array_equal(vectors[0], vectors[3])
    # beside longer texts it is padded, alone it is not
    assert np.allclose(trained.encode(["handbag"])[0], trained.encode(["handbag", "word " * 500])[0], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[2], atol=0.1)
    assert trained.encode([]).shape == (0, 24)
    assert trained.source == "trained on the log"


def test_the_end_token_is_pooled(trained: ClipText) -> None:
    """open_clip pools at the highest id: a tail beyond the end mark would otherwise be read."""
    tower = trained._tower
    assert isinstance(tower, clip_text._LogTower)
    seen: list[torch.Tensor] = []
    handle = tower.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    trained.encode(["red", "green summer scarf", "word " * 500])
    handle.remove()
    ids = seen[0]
    end = tower.network.vocab_size - 1
    assert ids.shape == (3, 12)
    assert (ids == end).sum(dim=1).tolist() == [1, 1, 1]
    for row in ids.tolist():
        at = row.index(end)
        assert 0 not in row[:at]
        assert set(row[at + 1 :]) <= {0}


def test_each_distinct_text_is_encoded_once(trained: ClipText) -> None:
    tower = trained._tower
    assert isinstance(tower, clip_text._LogTower)
    sizes: list[int] = []
    handle = tower.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    trained.encode(["red boots"] * 50 + ["bag"] * 50, batch_size=10)
    handle.remove()
    assert sizes == [2]


def test_seed_determines_the_tower() -> None:
    train, _, catalogue = shop(0)
    settings = dataclasses.replace(SMALL, epochs=2)
    first, again = (train_clip(train[:100], settings, show_progress=False).encode(catalogue) for _ in range(2))
    assert np.array_equal(first, again)


def test_save_and_load_a_trained_tower(tmp_path: Path, trained: ClipText) -> None:
    trained.save(tmp_path / "clip")
    loaded = ClipText.load(tmp_path / "clip")
    assert loaded.source == "trained on the log"
    assert np.array_equal(loaded.encode(["red boots"]), trained.encode(["red boots"]))
    assert {path.suffix for path in (tmp_path / "clip").iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize("pairs", [[], [("a", "x")], [("a", "x"), (" A ", "X")], [("a", "x"), ("a", "y")]])
def test_too_few_pairs(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(UserError, match="CLIP tower: expected at least two"):
        train_clip(pairs, SMALL, show_progress=False)


def test_a_local_checkpoint(tmp_path: Path, checkpoint: Path) -> None:
    loaded = load_clip("tiny-test", str(checkpoint))
    assert loaded.source == f"checkpoint:tiny-test/{checkpoint.name}"
    model = open_clip.create_model("tiny-test", pretrained=str(checkpoint))
    texts = ["red boots", "handbag"]
    expected = normalize(model.encode_text(open_clip.get_tokenizer("tiny-test")(texts)), dim=1)
    assert np.allclose(loaded.encode(texts), expected.detach().numpy(), atol=1e-6)
    assert loaded.encode([]).shape == (0, 8)
    loaded.save(tmp_path)
    again = ClipText.load(tmp_path, checkpoint=str(checkpoint))
    assert np.array_equal(again.encode(texts), loaded.encode(texts))
    assert str(checkpoint.parent) not in (tmp_path / "clip.json").read_text()


def test_a_checkpoint_that_became_another(tmp_path: Path, checkpoint: Path) -> None:
    load_clip("tiny-test", str(checkpoint)).save(tmp_path)
    weights = torch.load(checkpoint, weights_only=True)
    name = next(name for name in weights if name.startswith("token_embedding"))
    weights[name][0, 0] += 1
    torch.save(weights, tmp_path / "other.pt")
    with pytest.raises(UserError, match="has other weights than those of the run"):
        ClipText.load(tmp_path, checkpoint=str(tmp_path / "other.pt"))
    with pytest.raises(UserError, match="neither a file nor a tag"):
        ClipText.load(tmp_path)


def test_unknown_model_or_tag(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'ViT-B-32'"):
        load_clip("ViT-B-23", "openai")
    with pytest.raises(
        UserError, match="neither a file nor a tag of ViT-B-32, whose tags are: openai, laion400m_e31, "
    ):
        load_clip("ViT-B-32", "opnai")
    with pytest.raises(UserError, match="neither a file nor a tag"):
        load_clip("ViT-B-32", str(tmp_path / "missing.pt"))
    # GELU weights of the same architecture
    with pytest.raises(UserError, match="nor a tag of ViT-B-32-quickgelu, whose tags are: openai"):
        load_clip("ViT-B-32-quickgelu", "laion2b_s34b_b79k")
    with pytest.raises(UserError, match="whose tags are: none"):
        load_clip("ViT-S-16", "openai")


def built_activation(model_name: str) -> bool | None:
    """Whether the text tower that open_clip builds has QuickGELU; None for a tower of transformers."""
    config = open_clip.get_model_config(model_name)
    if "hf_model_name" in config["text_cfg"]:
        return None
    with torch.device("meta"):
        one_layer = config["text_cfg"] | {"layers": 1}
        tower = open_clip.model._build_text_tower(config["embed_dim"], one_layer, config.get("quick_gelu", False))
    return any(isinstance(part, open_clip.transformer.QuickGELU) for part in tower.modules())


def test_activation_of_every_tag_of_open_clip() -> None:
    """A pair is accepted if and only if the tower that open_clip builds has the activation of the weights."""
    refused, pairs = {}, open_clip.list_pretrained()
    built = {model: built_activation(model) for model, _ in pairs}
    for model, tag in pairs:
        needed = bool(open_clip.get_pretrained_cfg(model, tag).get("quick_gelu"))
        try:
            check_clip(model, tag)
            assert built[model] in (needed, None), (model, tag)
        except UserError as error:
            assert built[model] is (not needed), (model, tag)
            refused[model, tag] = str(error)
    # the table of open_clip 3.3; a later one may only be longer
    assert len(pairs) >= 196 and len(refused) >= 27
    assert refused["ViT-B-32", "openai"] == (
        "clip_model: the weights 'openai' of ViT-B-32 were trained with QuickGELU, and this model has GELU; "
        "set clip_model: ViT-B-32-quickgelu"
    )
    for (model, tag), message in refused.items():
        named = message.rpartition("; set clip_model: ")[2]
        assert named == f"{model}-quickgelu"
        check_clip(named, tag)


def test_tags_as_open_clip_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_clip("ViT-B-32", "LAION2B-S34B-B79K")
    with pytest.raises(UserError, match="set clip_model: ViT-L-14-quickgelu"):
        check_clip("ViT-L-14", "OpenAI")
    # a tag comes before a file of that name; a file says nothing about its activation
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openai").touch()
    with pytest.raises(UserError, match="QuickGELU"):
        check_clip("ViT-B-32", "openai")
    check_clip("ViT-B-32", str(tmp_path / "openai"))
    with pytest.raises(UserError, match="neither a file nor a tag"):
        check_clip("ViT-B-32", str(tmp_path))


def test_checkpoint_of_another_model(tmp_path: Path, checkpoint: Path) -> None:
    torch.save({"positional_embedding": torch.zeros(3)}, tmp_path / "wrong.pt")
    with pytest.raises(UserError, match="could not be loaded") as caught:
        load_clip("tiny-test", str(tmp_path / "wrong.pt"))
    assert "\n" not in str(caught.value)


def test_checkpoint_with_code(tmp_path: Path, checkpoint: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    torch.save({"state_dict": Hostile()}, tmp_path / "hostile.pt")
    with pytest.raises(UserError, match="could not be loaded"):
        load_clip("tiny-test", str(tmp_path / "hostile.pt"))
    assert not (tmp_path / "ran").exists()


def test_failed_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise RuntimeError("Failed to download weights for tag 'openai'\nsecond line")

    monkeypatch.setattr(open_clip, "create_model", unreachable)
    with pytest.raises(UserError, match="could not be loaded") as caught:
        load_clip("ViT-B-32-quickgelu", "openai")
    assert "\n" not in str(caught.value)


def test_the_words_of_clients_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_text, "CACHED_WORDS", 100)
    tokenizer: Any = open_clip.tokenizer.SimpleTokenizer()
    special = dict(tokenizer.cache)
    before = tokenizer("red boots").tolist()
    for number in range(5_000):
        tokenizer.bpe(f"w{number}")
        clip_text.forget_words(tokenizer, special)
        assert len(tokenizer.cache) <= 101
    assert tokenizer("red boots").tolist() == before and special.items() <= tokenizer.cache.items()
    clip_text.forget_words(object(), {})  # a tokenizer without a cache
