"""Which backend generates, and from which model. The LLM's own parts have their tests below tests/llm."""

from types import SimpleNamespace

import numpy as np
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline import language_model
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.stage_store import StageStore

CONFIG = {
    "llm_name_or_path": "some/falcon",
    "show_progress": False,
    "seed": 1,
    "compute_dtype": "auto",
    "generation_backend": "vllm",
    "vllm_python": "/opt/vllm/bin/python",
    "decoding": "constrained",
    "max_new_tokens": 9,
    "temperature": 0.05,
    "top_p": 0.95,
    "generation_batch_size": 4,
    "response_title": "catalogue",
    "num_beams": 0,
    "cuda_graphs": True,
}


class FakeGenerator:
    trie = None

    def __init__(self):
        self.lm = SimpleNamespace(cuda_graphs=False)

    def generate(self, prompts, show_progress=False, on_text=None):
        return [(f"here, cuda_graphs: {self.lm.cuda_graphs}", 1) for _ in prompts]


def llm_of(tmp_path, monkeypatch, backend):
    """An LLM with an adapter, whose two backends report what they were given; and the list of merges."""
    llm = LanguageModel(CONFIG | {"generation_backend": backend}, StageStore(tmp_path))  # type: ignore[arg-type]
    llm._adapter, llm._index = tmp_path / "adapter-77", None
    llm.__dict__["tokenizer"] = "its tokenizer"
    merges = []

    def merge(backbone, adapter, folder):
        merges.append((backbone, adapter))
        (folder / "weights").write_text("merged")

    def by_vllm(python, model, tokenizer, settings, prompts, allowed_ids, prefix):
        assert (python, tokenizer, settings.max_new_tokens) == ("/opt/vllm/bin/python", "its tokenizer", 9)
        return [f"vllm {(model / 'weights').read_text()} {len(allowed_ids)} {prefix}" for _ in prompts]

    monkeypatch.setattr(llm, "_backbone", lambda index: "backbone")
    monkeypatch.setattr(llm, "_load", lambda index: "model")
    monkeypatch.setattr(language_model, "merge_adapter", merge)
    monkeypatch.setattr(language_model, "vllm_generate", by_vllm)
    monkeypatch.setattr(language_model, "item_generator", lambda *_: FakeGenerator())
    return llm, merges


def responses_of(llm, allowed_ids):
    builder = SimpleNamespace(allowed_ids=allowed_ids, id_prefix=np.array([4]), item_tokens=None)
    return llm.generate([np.arange(3)], builder, ["a title"] * len(allowed_ids))


def test_vllm_generates_from_a_folder_that_is_merged_once(tmp_path, monkeypatch):
    llm, merges = llm_of(tmp_path, monkeypatch, "vllm")
    for _ in range(2):
        assert [response.text for response in responses_of(llm, [[5], [6]])] == ["vllm merged 2 [4]"]
    assert merges == [("backbone", tmp_path / "adapter-77")]


def test_transformers_generates_here_and_merges_nothing(tmp_path, monkeypatch):
    llm, merges = llm_of(tmp_path, monkeypatch, "transformers")
    (response,) = responses_of(llm, [[5], [6]])
    assert (response.text, response.item) == ("here, cuda_graphs: True", 1) and merges == []


@pytest.mark.parametrize("file", ["item_rows.json", "seen.json"])
def test_a_damaged_file_of_the_backbone_is_found_before_anything_runs(tmp_path, monkeypatch, file):
    (tmp_path / file).write_text("[]")
    monkeypatch.setattr(language_model, "check_backbone", lambda *_: None)
    monkeypatch.setattr(language_model.settings, "backbone_needs", lambda *_: None)
    keys = CONFIG | {"llm_name_or_path": str(tmp_path), "generation_backend": "transformers"}
    with pytest.raises(UserError, match=f"^{tmp_path}/{file}: cannot be read as the "):
        LanguageModel.validate_config(keys)  # type: ignore[arg-type]


def test_a_missing_python_is_found_before_anything_runs():
    with pytest.raises(UserError, match=r"vllm_python: .*found '/opt/vllm/bin/python', which is not a file"):
        LanguageModel.validate_config(CONFIG)  # type: ignore[arg-type]
