"""What the name of a row covers beside keys and data, and that a change of a stage raises an engine's number."""

import re
from pathlib import Path

import pytest

from recbole_llmfashion.quick_start import engine
from recbole_llmfashion.quick_start.engine import ENGINES, engine_digest
from recbole_llmfashion.stage_store import sha256

# The names of stages in tests/test_stage_names.py and the engines that gave them. Where the first changed because a
# stage computes something else, raise the number in ENGINES of the models that have other figures, then change both.
PINNED = (
    "5fa1e46e81e7dc0f",
    {
        "LLMFashionRec": 2,
        "Recformer": 2,
        "BERT4Rec": 1,
        "CORE": 1,
        "GRU4Rec": 1,
        "SASRec": 1,
        "TextSASRec": 2,
        "": 1,
    },
)


@pytest.fixture(autouse=True)
def fresh():
    engine_digest.cache_clear()
    yield
    engine_digest.cache_clear()


def test_models_share_what_they_share():
    assert engine_digest("SASRecSampled") == engine_digest("Popularity") == engine_digest("NextItNet")
    assert engine_digest("LLMFashionRec") == engine_digest("Fusion") != engine_digest("TextKNN")
    assert engine_digest("Recformer") == engine_digest("RecformerQuery")
    assert len({engine_digest(name) for name in ("SASRec", "LLMFashionRec", "Recformer")}) == 3


@pytest.mark.parametrize(
    ("name", "value", "changed"),
    [
        ("FORMAT", 99, {"SASRec", "LLMFashionRec", "Recformer"}),
        ("FIT_FORMAT", 99, {"SASRec", "LLMFashionRec", "Recformer"}),
        ("ENGINES", ENGINES | {"LLMFashionRec": 99}, {"LLMFashionRec"}),
        ("ENGINES", ENGINES | {"Recformer": 99}, {"Recformer"}),
        ("ENGINES", ENGINES | {"": 99}, {"SASRec", "LLMFashionRec", "Recformer"}),
        ("FUSED", ("beams",), {"LLMFashionRec"}),
        ("TEMPLATES", {}, {"LLMFashionRec"}),
        ("TINY_FALCON_FOLDER", Path(__file__).parent, {"LLMFashionRec"}),
    ],
)
def test_what_it_covers(monkeypatch, name, value, changed):
    models = ("SASRec", "LLMFashionRec", "Recformer")
    before = {model: engine_digest(model) for model in models}
    monkeypatch.setattr(engine, name, value)
    engine_digest.cache_clear()
    assert {model for model in models if engine_digest(model) != before[model]} == changed


def test_other_names_of_stages_ask_for_another_engine():
    text = (Path(__file__).parents[1] / "test_stage_names.py").read_text(encoding="utf-8")
    literals = re.findall(r'"((?:\w+-)?[0-9a-f]{12,64})"', text)
    assert len(literals) > 30
    assert (sha256(literals)[:16], ENGINES) == PINNED
