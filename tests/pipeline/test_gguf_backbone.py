"""A run with a GGUF file as backbone: trained, saved, loaded, exported; what it cannot read is found at once."""

import importlib.util
import json
import shutil

import pytest

from recbole_llmfashion.cli.train import main
from recbole_llmfashion.files.digests import FileDigests
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.quick_start.engine import contents_of
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.fakes import SMALL, write_tiny
from tests.helpers.gguf import LAYERS, PROJECTIONS, write_gguf

pytestmark = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the extra gguf is not installed")


def status_of(root, **keys):
    file = {"llm_name_or_path": root / "tiny.gguf", "topk": [3], "valid_metric": "NDCG@3"}
    options = {**SMALL, **file, "max_length": 500, "max_new_tokens": 64, **keys}
    argv = ["--model=LLMFashionRec", "--dataset=tiny", f"--data_path={root}", f"--output={root / 'out'}"]
    return main([*argv, f"--checkpoint_dir={root / 'saved'}", *(f"--{key}={value}" for key, value in options.items())])


def row_of(root):
    return json.loads((root / "out/results.json").read_text())["models"]["LLMFashionRec"]


def stages(root, name):
    return list((root / "saved/tiny/stages").glob(f"{name}-*"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    write_tiny(root)
    write_gguf(root / "tiny.gguf")
    assert status_of(root) == 0
    return root


def test_the_file_is_dequantized_once_and_every_layer_quantized(ran):
    (stage,) = stages(ran, "gguf")
    assert (stage / "model.safetensors").is_file() and (stage / "tokenizer.json").is_file()
    row = row_of(ran)
    assert row["generation"]["quantized_layers"] == LAYERS * PROJECTIONS
    assert row["generation"]["valid_id_rate"] == 1.0


def test_the_run_names_the_file_its_licence_and_its_stage(ran):
    run = json.loads((next((ran / "saved/tiny/runs").iterdir()) / "manifest.json").read_text())
    assert run["backbone"] == {"name": "tiny.gguf", "licence": "mit"}
    (stage,) = stages(ran, "gguf")
    assert run["parts"]["backbone"]["path"].endswith(stage.name)


def test_an_export_is_served_without_the_file(ran, tmp_path):
    (run,) = (ran / "saved/tiny/runs").iterdir()
    export_run(run, tmp_path / "exported", 1)
    taken = [{"item_id": "12", "action": "purchase", "timestamp": 1701000000}]
    here = Recommender.from_pretrained(run).recommend(taken, k=3)
    shutil.move(ran / "saved", ran / "away")
    try:
        there = Recommender.from_pretrained(tmp_path / "exported").recommend(taken, k=3)
    finally:
        shutil.move(ran / "away", ran / "saved")
    assert here == there and len(there) == 3


def test_a_moved_file_is_the_same_backbone_and_another_file_is_not(ran, tmp_path):
    shutil.copy(ran / "tiny.gguf", tmp_path / "other-name.gguf")
    assert status_of(ran, llm_name_or_path=tmp_path / "other-name.gguf") == 0
    assert len(stages(ran, "gguf")) == len(stages(ran, "adapter")) == 1
    write_gguf(tmp_path / "other.gguf", quantized="Q8_0")
    files = (ran / "tiny.gguf", tmp_path / "other-name.gguf", tmp_path / "other.gguf")
    same, moved, other = (contents_of({"llm_name_or_path": str(file)}, FileDigests()) for file in files)
    assert same == moved != {} and other != same


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        {"item_tokens": "semantic"},
        {"item_tokens": "text"},
        {"item_tokens": "text", "decoding": "sample", "response_title": "generated", "quantization": "none"},
        {"item_tokens": "semantic", "num_beams": 0, "response_title": "generated"},
        {"item_tokens": "atomic", "decoding": "sample", "response_title": "generated"},
        {
            "item_tokens": "text",
            "decoding": "sample",
            "response_title": "generated",
            "ranking": "mixup",
            "num_beams": 0,
        },
    ],
    ids=lambda keys: "-".join(map(str, keys.values())),
)
def test_every_way_to_name_an_item_and_to_decode(ran, keys):
    assert status_of(ran, **keys) == 0
    generation = row_of(ran)["generation"]
    assert generation["quantized_layers"] == (0 if keys.get("quantization") == "none" else LAYERS * PROJECTIONS)
    if keys.get("decoding") != "sample":
        assert generation["valid_id_rate"] == 1.0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"architecture": "clip"}, "its architecture 'clip' cannot be read"),
        ({"without": ["output_norm.weight"]}, "lacks 1 weights"),
        ({"tokenizer_model": ""}, "its tokenizer ('none') cannot be read"),
    ],
)
def test_what_cannot_be_read_is_found_before_anything_trains(tmp_path, capsys, how, words):
    write_tiny(tmp_path)
    write_gguf(tmp_path / "tiny.gguf", **how)
    assert status_of(tmp_path) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in line and "tiny.gguf" in line
    assert not [path for path in (tmp_path / "saved").glob("tiny/stages/*-*") if path.is_dir()]


def test_too_few_positions_are_found_in_the_config(ran, capsys):
    assert status_of(ran, max_length=513) == 2
    assert "max_length: 513 is more than the 512 positions" in capsys.readouterr().err.strip().splitlines()[-1]
