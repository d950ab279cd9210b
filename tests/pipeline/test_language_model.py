"""Which backend answers, and from what. The LLM's own parts are tested below tests/llm."""

import numpy as np
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline import language_model as engine_module
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
}


def made(tmp_path, monkeypatch, backend):
    """An engine with an adapter, whose two ways to answer only say what they were given."""
    engine = LanguageModel(CONFIG | {"generation_backend": backend}, StageStore(tmp_path))  # type: ignore[arg-type]
    engine._adapter, engine._index = tmp_path / "adapter-77", None
    engine.__dict__["tokenizer"] = "its tokenizer"
    merges = []

    def merge(backbone, adapter, folder):
        merges.append((backbone, adapter))
        (folder / "weights").write_text("merged")

    def by_vllm(python, model, tokenizer, settings, prompts, allowed_ids, prefix):
        assert (python, tokenizer, settings.max_new_tokens) == ("/opt/vllm/bin/python", "its tokenizer", 9)
        return [f"vllm {(model / 'weights').read_text()} {len(allowed_ids)} {prefix}" for _ in prompts]

    monkeypatch.setattr(engine, "_backbone", lambda index: "backbone")
    monkeypatch.setattr(engine, "_load", lambda index: "model")
    monkeypatch.setattr(engine_module, "merge_adapter", merge)
    monkeypatch.setattr(engine_module, "vllm_generate", by_vllm)
    monkeypatch.setattr(engine_module, "make_generator", lambda *_: lambda prompts, *_: ["here" for _ in prompts])
    return engine, merges


def texts(engine, allowed_ids):
    return [response.text for response in engine.generate([np.arange(3)], allowed_ids, [4])]


def test_vllm_answers_from_a_folder_that_is_merged_once(tmp_path, monkeypatch):
    engine, merges = made(tmp_path, monkeypatch, "vllm")
    for _ in range(2):
        assert texts(engine, [[5], [6]]) == ["vllm merged 2 [4]"]
    assert merges == [("backbone", tmp_path / "adapter-77")]


def test_transformers_answers_here_and_merges_nothing(tmp_path, monkeypatch):
    engine, merges = made(tmp_path, monkeypatch, "transformers")
    assert texts(engine, [[5]]) == ["here"] and merges == []


def test_a_missing_python_is_found_before_anything_runs():
    with pytest.raises(UserError, match="vllm_python: /opt/vllm/bin/python"):
        LanguageModel.validate_config(CONFIG)  # type: ignore[arg-type]
