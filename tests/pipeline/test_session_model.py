"""A run by another ID model than CORE: its stage, its run folder, and the lists that a folder serves."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.pipeline.load import load_run
from recbole_llmfashion.pipeline.manifest import read_manifest
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.fakes import SMALL, write_tiny
from tests.helpers.tampering import sign

TAKEN = torch.tensor([[0, 3, 2], [5, -1, -1]])


def config_of(root, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    fixed = {**SMALL, **folders, "topk": [3], "valid_metric": "NDCG@3", "session_model": "SASRecSampled"}
    return load_config("LLMFashionRec", "tiny", (), {**fixed, **keys})


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The root, and the result of a run by SASRecSampled."""
    root = tmp_path_factory.mktemp("session_model")
    write_tiny(root)
    return root, run_experiment(config_of(root), keep=True)


@pytest.fixture
def exported(job, tmp_path):
    export_run(Path(job[1].details["run"]), tmp_path / "run", min_askers=1)
    return tmp_path / "run"


def test_the_stage_is_that_of_the_models_row(job):
    root, result = job
    assert "train_SASRecSampled" in result.seconds and "train_CORE" not in result.seconds
    keys = {name: value for name, value in SMALL.items() if name in ("epochs", "train_batch_size", "show_progress")}
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    row = run_experiment(load_config("SASRecSampled", "tiny", (), {**keys, **folders}))
    assert row.reused == ["train_SASRecSampled"]
    weights = load_file(next((root / "saved/tiny/stages").glob("train_SASRecSampled-*")) / "model.safetensors")
    run = load_run(Path(result.details["run"]), model=False)
    assert (run.pool.core == weights["item_embedding.weight"][1:]).all()


def test_the_run_folder_names_the_model_and_holds_its_encoder(job):
    run = Path(job[1].details["run"])
    settings = read_manifest(run).content["settings"]["session_model"]
    assert settings == {"name": "SASRecSampled", "heads": 1, "activation": "gelu", "eps": 1e-12, "cosine": False}
    names = set(load_file(run / "encoder.safetensors"))
    assert "position_embedding.weight" in names and "item_embedding.weight" not in names


def test_an_export_serves_the_lists_of_the_run(job, exported):
    own, copy = (Recommender.from_pretrained(run) for run in (Path(job[1].details["run"]), exported))
    heads = [recommender.state.rankers.sequence_list(TAKEN).top(6) for recommender in (own, copy)]
    assert torch.equal(*heads)
    actions = [{"action": "click", "item_id": item, "timestamp": 1701000000 + n} for n, item in enumerate(("11", "13"))]
    assert own.recommend(actions, 6) == copy.recommend(actions, 6)
    copy.remove_items(["16"])  # positions of the others move
    assert len(copy.recommend(actions, 5)) == 5 and "16" not in {line.item for line in copy.recommend(actions, 5)}


def test_a_broken_encoder_is_refused_when_the_run_is_loaded(exported):
    weights = load_file(exported / "run/encoder.safetensors")
    short, wrong = weights["LayerNorm.weight"][:-1], weights["LayerNorm.bias"] * float("nan")
    for change in ({"LayerNorm.weight": short}, {"LayerNorm.bias": wrong}):
        save_file(weights | change, exported / "run/encoder.safetensors")
        sign(exported)
        with pytest.raises(UserError, match=r"encoder\.safetensors: cannot be read"):
            load_run(exported, model=False)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [("activation", "elu", "one of gelu, relu"), ("heads", 0, "out of range"), ("eps", "x", "wrong type")],
)
def test_entries_that_are_wrong(exported, entry, value, message):
    content = json.loads((exported / "manifest.json").read_text())
    content["settings"]["session_model"][entry] = value
    sign(exported, content)
    with pytest.raises(UserError, match=rf"session_model\.{entry}.*{message}"):
        load_run(exported, model=False)


def test_core_is_not_named_and_has_no_encoder(tmp_path):
    write_tiny(tmp_path)
    run = Path(run_experiment(config_of(tmp_path, session_model="CORE"), keep=True).details["run"])
    assert "session_model" not in read_manifest(run).content["settings"] and not (run / "encoder.safetensors").exists()
    assert load_run(run, model=False).encoder is None
    shutil.rmtree(tmp_path / "saved")


def test_another_name_is_refused_before_anything_trains(tmp_path):
    write_tiny(tmp_path)
    with pytest.raises(UserError, match="session_model: expected one of CORE, SASRec, SASRecSampled, found 'GRU4Rec'"):
        config_of(tmp_path, session_model="GRU4Rec")
