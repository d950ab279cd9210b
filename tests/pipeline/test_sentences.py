"""A sentence encoder as the memory's: its stages, its list, the saved run that finds it again, and the export."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from recbole_llmfashion.embedding.sentence import folder as encoder_folder
from recbole_llmfashion.embedding.sentence.encoder import load_encoder
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.pipeline.load import load_run
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.encoders import save_encoder
from tests.helpers.fakes import INTER, SEARCH, SMALL, write_tiny
from tests.helpers.sessions import sessions

BUYS = "".join(f"u{u}\t{11 + (u + i) % 6}\tpurchase\t{1701000000 + 100 * i}\n" for u in (4, 5) for i in range(5))
SEARCHES = "".join(f"u{u}\t{1701000050 + 100 * i}\t{['red', 'blue'][u % 2]} {i}\t\n" for u in (4, 5) for i in (0, 1))


def keys_of(root, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    return {**SMALL, **folders, "quantization": "none", "click_filter": "none", "min_askers": 1, **keys}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with an encoder in a folder; its result, and the folder."""
    root = tmp_path_factory.mktemp("sentences")
    write_tiny(root, INTER + BUYS, SEARCH + SEARCHES)
    encoder = save_encoder(root / "encoder")
    config = load_config("LLMFashionRec", "tiny", overrides=keys_of(root, memory_encoder=str(encoder)))
    result = run_experiment(config, keep=True)
    return SimpleNamespace(root=root, encoder=encoder, result=result, run=Path(result.details["run"]))


def test_the_vectors_are_stages_and_no_tower_trains(made):
    names = {path.name.split("-")[0] for path in (made.root / "saved/tiny/stages").glob("*-*")}
    assert "clip" not in names and "sentences" in names
    assert made.result.details["generation"]["memory_encoder"] == "folder:encoder"
    assert made.result.details["generation"]["clip"] == "not used"
    vectors, encoder = load_file(made.run / "vectors.safetensors"), load_encoder(str(made.encoder), "memory_encoder")
    titles = pd.read_parquet(made.run / "catalogue.parquet")["title"]
    np.testing.assert_allclose(vectors["sentences"], encoder.encode(titles.tolist()), atol=1e-5)
    queries = sorted(set(pd.read_parquet(made.run / "memory.parquet")["query"]))
    np.testing.assert_allclose(vectors["memory"], encoder.encode(queries), atol=1e-5)
    assert "clip" not in vectors and not (made.run / "clip").exists()


def test_the_encoder_is_a_list_of_fusion(made):
    lists = ["beams", "id", "title", "encoder", "session", "neighbors", "words", "memory", "taken"]
    assert [list(weights) for weights in made.result.details["fusion"].values()] == [lists, lists]
    without = load_config("LLMFashionRec", "tiny", overrides=keys_of(made.root))
    for weights in run_experiment(without).details["fusion"].values():
        assert list(weights) == [name for name in lists if name != "encoder"]


def test_the_saved_run_answers_as_the_evaluation_and_knows_new_texts(made):
    recommender, requests = Recommender.from_pretrained(made.run), sessions(made.root / "tiny")
    ranks = made.result.ranks.set_index("user")
    assert len(ranks) == 5
    for user, row in ranks.iterrows():
        actions, now = requests[user]
        assert [line.item for line in recommender.recommend(actions, 3, now=now)] == list(row["top"]), user
    memory = recommender._state.memory
    assert memory is not None and memory.top_products("scarlet booties") != []
    recommender.add_items(pd.DataFrame([{"item_id": "99", "title": "Red Winter Boots"}]))
    assert recommender._state.pool.sentences.shape == (7, 32)
    np.testing.assert_allclose(
        recommender._state.pool.sentences[6], load_run(made.run).sentences.encode(["Red Winter Boots"])[0], atol=1e-6
    )
    assert recommender._state.rankers.encoder_list(["Red Winter Boots"]).top(1).tolist() == [[6]]


def test_an_encoder_that_is_not_found_again_is_one_line(made, tmp_path):
    copy = Path(shutil.copytree(made.run, made.run.parent / "copy"))
    local = json.loads((copy / "local.json").read_text())
    (copy / "local.json").write_text(json.dumps({**local, "memory_encoder": str(save_encoder(tmp_path / "x", seed=1))}))
    with pytest.raises(UserError, match=r"the sentence encoder .*x has other files than the run's; restore them$"):
        load_run(copy, model=False)
    (copy / "local.json").write_text(json.dumps({**local, "memory_encoder": str(tmp_path / "gone")}))
    with pytest.raises(UserError, match=r"memory_encoder: '.*gone' is not a folder"):
        load_run(copy, model=False)
    del local["memory_encoder"]
    (copy / "local.json").write_text(json.dumps(local))
    with pytest.raises(UserError, match=r"local.json: does not say where the sentence encoder folder:encoder is"):
        load_run(copy, model=False)
    shutil.rmtree(copy)
    with pytest.raises(UserError, match=r"its sentence encoder is a folder of this machine \(folder:encoder\)"):
        export_run(made.run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_named_encoder_is_exported_by_its_name(made, tmp_path, monkeypatch):
    """As with `minilm`: the name is found on every machine that has the encoder."""
    monkeypatch.setattr(encoder_folder, "snapshot_download", lambda *_, **__: str(made.encoder))
    config = load_config("LLMFashionRec", "tiny", overrides=keys_of(made.root, memory_encoder="some/encoder"))
    run = Path(run_experiment(config, keep=True).details["run"])
    assert "memory_encoder" not in json.loads((run / "local.json").read_text())
    export_run(run, tmp_path / "out", min_askers=1)
    loaded = load_run(tmp_path / "out", model=False)
    assert loaded.sentences is not None and loaded.sentences.source == "hub:some/encoder@encoder"
    assert loaded.memory is not None


@pytest.mark.parametrize("model", ["LLMFashionRec", "QueryMemory", "Fusion"])
def test_an_encoder_that_cannot_be_used_is_found_before_anything_trains(tmp_path, model):
    write_tiny(tmp_path)
    broken = save_encoder(tmp_path / "broken", pooling=None)
    keys = {name: value for name, value in keys_of(tmp_path).items() if model != "QueryMemory" or name != "epochs"}
    with pytest.raises(UserError, match=r"memory_encoder: .* has no pooling config"):
        run_experiment(load_config(model, "tiny", overrides=keys | {"memory_encoder": str(broken)}))
    assert not (tmp_path / "saved").exists()
