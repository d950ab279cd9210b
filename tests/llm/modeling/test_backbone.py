import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bitsandbytes
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import FileDigests
from recbole_llmfashion.llm.modeling import backbone
from recbole_llmfashion.llm.modeling.backbone import (
    Backbone,
    backbone_identity,
    check_spelling,
    hub_commit,
    load_backbone,
    load_tokenizer,
    pick_compute_dtype,
)
from recbole_llmfashion.llm.modeling.tiny_falcon import train_tokenizer


def test_load_without_quantization(plain: Backbone) -> None:
    assert plain.quantized_layers == 0
    assert not [m for m in plain.model.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    assert plain.model.dtype == torch.float32 and not plain.model.training


@pytest.mark.parametrize(
    ("attributes", "missing"),
    [
        ({"is_fast": False, "eos_token_id": 1}, "a fast version"),
        ({"is_fast": True, "backend_tokenizer": None, "eos_token_id": 1}, "a fast version"),
        ({"is_fast": True, "backend_tokenizer": object(), "eos_token_id": None}, "an end token"),
    ],
)
def test_tokenizers_that_are_refused(monkeypatch: pytest.MonkeyPatch, attributes: dict[str, Any], missing: str) -> None:
    monkeypatch.setattr(backbone, "AutoTokenizer", SimpleNamespace(from_pretrained=lambda *_, **__: loaded))
    loaded = SimpleNamespace(**attributes)
    with pytest.raises(UserError, match=f"the tokenizer of some/model lacks {missing}; name another backbone"):
        load_tokenizer("some/model")


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_dropout_in_training_only(folder: Path, quantization: Any) -> None:
    ids = torch.arange(5, 13)[None]
    outputs = []
    for dropout in (None, 0.4):
        model = load_backbone(str(folder), quantization, device="cpu", dropout=dropout).model
        with torch.no_grad():
            outputs.append([model(input_ids=ids).logits, *(model.train()(input_ids=ids).logits for _ in range(2))])
    (plain, *repeated), (evaluated, *trained) = outputs
    assert torch.equal(plain, evaluated) and torch.equal(*repeated)
    assert not torch.equal(*trained) and not torch.equal(trained[0], evaluated)


def test_pick_compute_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_compute_dtype("auto", torch.device("cpu")) == torch.float32
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert pick_compute_dtype("auto", torch.device("cuda")) == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert pick_compute_dtype("auto", torch.device("cuda")) == torch.float16
    assert pick_compute_dtype("bf16", torch.device("cpu")) == torch.bfloat16
    with pytest.raises(UserError, match="compute_dtype"):
        pick_compute_dtype("int8", torch.device("cpu"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("removed", "missing"),
    [("config.json", "config"), ("model.safetensors", "weights"), ("tokenizer.json", "tokenizer")],
)
def test_folder_with_a_missing_file(folder: Path, tmp_path: Path, removed: str, missing: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / removed).unlink()
    with pytest.raises(UserError, match=missing) as error:
        load_backbone(str(copy))
    assert "\n" not in str(error.value) and str(copy) in str(error.value)


@pytest.mark.parametrize(("file", "what"), [("model.safetensors", "model"), ("tokenizer.json", "tokenizer")])
def test_broken_file(folder: Path, tmp_path: Path, file: str, what: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / file).write_bytes(b"not what it should be")
    with pytest.raises(UserError, match=f"the {what} in .* cannot be read") as error:
        load_backbone(str(copy))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_missing_weights(folder: Path, tmp_path: Path, quantization: Any) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    weights = load_file(copy / "model.safetensors")
    del weights["transformer.h.1.mlp.dense_h_to_4h.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 weights .*h\.1\.mlp"):
        load_backbone(str(copy), quantization)


@pytest.mark.parametrize("name", ["/no/such/folder", "./none", "a/b/c"])
def test_path_that_does_not_exist(name: str) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        load_backbone(name)


def test_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as error:
        load_backbone("nobody/no-such-model")
    assert "\n" not in str(error.value)
    for words in ("nobody/no-such-model", "HF_HUB_OFFLINE", "local folder", "tiny-falcon"):
        assert words in str(error.value)


@pytest.mark.slow  # a fresh interpreter imports torch and transformers again
def test_import_prints_nothing() -> None:
    modules = ("generation.generator", "finetuning.finetune", "modeling.backbone")
    code = f"import {', '.join(f'recbole_llmfashion.llm.{module}' for module in modules)}, peft"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "" and "kernels-community" not in result.stderr


def test_tokenizer_without_pad_token(folder: Path, tmp_path: Path, tokenizer: Any) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    settings = copy / "tokenizer_config.json"
    text = settings.read_text()
    assert '"pad_token": "<pad>"' in text
    settings.write_text(text.replace('"pad_token": "<pad>"', '"pad_token": null'))
    assert load_backbone(str(copy), "none").tokenizer.pad_token_id == tokenizer.eos_token_id


def test_tokenizer_of_a_larger_model(folder: Path, tmp_path: Path, tokenizer: Any) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    larger = train_tokenizer([f"word{i} other{i}" for i in range(400)], len(tokenizer) + 40)
    assert len(larger) == len(tokenizer) + 40
    larger.save_pretrained(str(copy))
    with pytest.raises(UserError, match=f"ids up to {len(larger) - 1}, the model has {len(tokenizer)} rows"):
        load_backbone(str(copy), "none", device="cpu")


def test_different_eos_is_logged(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_backbone(str(folder), "none", device="cpu")
    assert not [record for record in caplog.records if "tokenizer" in record.getMessage()]
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "eos_token_id": 7}))
    with caplog.at_level("WARNING"):
        load_backbone(str(copy), "none", device="cpu")
    assert "eos is 7 in the model's config and 1 in its tokenizer" in caplog.text


def test_check_spelling(tokenizer: Any) -> None:
    texts = ["B123456", "Ärmel-7", "木綿9"]
    ids = tokenizer([f" {text}" for text in texts])["input_ids"]
    check_spelling(tokenizer, texts, ids)
    with pytest.raises(UserError, match="item ID 'Ärmel-7'"):
        check_spelling(tokenizer, texts, [ids[0], ids[1][:-1], ids[2]])
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "B123456": 1, "[END]": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    poor = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", eos_token="[END]")
    with pytest.raises(UserError, match="item ID '木綿9'") as error:
        check_spelling(poor, ["B123456", "木綿9"], poor(["B123456", "木綿9"])["input_ids"])
    assert "\n" not in str(error.value)


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a hub with the model shop/falcon, in two commits; the newest is `2222..`."""
    model = tmp_path / "models--shop--falcon"
    for commit in ("1" * 40, "2" * 40):
        shutil.copytree(folder, model / "snapshots" / commit)
    weights = load_file(folder / "model.safetensors")
    newest = {name: value + 1 for name, value in weights.items()}
    save_file(newest, model / "snapshots" / ("2" * 40) / "model.safetensors", metadata={"format": "pt"})
    (model / "refs").mkdir()
    (model / "refs/main").write_text("2" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return model


def test_a_hub_model_is_known_by_its_commit(hub: Path, folder: Path) -> None:
    assert hub_commit("shop/falcon") == "2" * 40
    assert backbone_identity("shop/falcon", "2" * 40, FileDigests()) == f"shop/falcon@{'2' * 40}"
    first, newest = load_backbone("shop/falcon", "none", revision="1" * 40), load_backbone("shop/falcon", "none")
    rows = [one.model.get_input_embeddings().weight for one in (load_backbone(str(folder), "none"), first, newest)]
    assert torch.equal(rows[0], rows[1]) and torch.equal(rows[0] + 1, rows[2])
    with pytest.raises(UserError, match="no-such-model"):
        hub_commit("nobody/no-such-model")


def test_a_folder_is_known_by_every_byte(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    before = backbone_identity(str(folder), None, FileDigests())
    assert backbone_identity(str(copy), None, FileDigests()) == before
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert backbone_identity(str(copy), None, FileDigests()) != before
