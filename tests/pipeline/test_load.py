"""What `load_run` returns of a run folder, on a log of five users and six items."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import file_sha256
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.modeling.adapter import ROWS
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline import load
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.pipeline.load import load_run, run_builder, run_memory
from recbole_llmfashion.prompt.builder import PromptSettings
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.retrieval.ranking import RankingSettings
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.versions import versions
from tests.helpers.fakes import ITEM, SMALL, write_tiny
from tests.helpers.manifests import rewrite_manifest


@pytest.fixture(scope="module")
def folder(tiny_run):
    """The run folder of a run with a memory and one token per item."""
    return tiny_run


@pytest.fixture(scope="module")
def run(folder):
    return load_run(folder, model=False)


@pytest.fixture
def exported(folder, tmp_path):
    export_run(folder, tmp_path / "out")
    return tmp_path / "out"


def test_settings_of_a_run(run, folder):
    assert run.template == "compact" and run.num_beams == 20 and not run.mask_history and run.ann_index == "flat"
    assert run.prompt == PromptSettings(("category", "brand", "color", "size"), 200, 40, True, 5, item_text=False)
    assert run.decoding == DecodingSettings("constrained", 40, 0.05, 0.95, 64, 1306385187, "catalogue")
    lists = ("beams", "id", "title", "session", "neighbors", "words", "memory")
    equal = dict.fromkeys(lists, 1.0) | {"taken": 0.0}
    weights = {"known": equal, "new": equal}  # ranking: mixup chooses none
    assert run.ranking_settings == RankingSettings("mixup", 1, 10, 1, True, weights)
    assert run.neighbors is None  # only fusion has that list
    assert run.responses == folder and run.manifest.folder == folder and run.codes is None


def test_settings_are_those_of_the_manifest(exported):
    settings = json.loads((exported / "manifest.json").read_text())["settings"]
    mixing = settings["mixing"] | {"ranking": "title", "m": 2, "k": 7}
    rewrite_manifest(exported, settings=settings | {"mask_history": True, "beams": 5, "mixing": mixing})
    run = load_run(exported, model=False)
    ranking = run.ranking_settings
    assert (run.mask_history, run.num_beams) == (True, 5)
    assert (ranking.ranking, ranking.m, ranking.k, ranking.title_start) == ("title", 2, 7, 1)


def test_items_of_a_run(run):
    pool = run.pool
    assert pool.catalogue.item_ids == ("16", "11", "12", "13", "14", "15")
    assert pool.titles[5] == "Plain Socks" and pool.catalogue.attributes["brand"][5] == ""
    assert pool.live.tolist() == [True] * 6 and pool.popularity.tolist() == [3, 4, 2, 1, 0, 1]
    assert pool.title.shape[0] == pool.core.shape[0] == 6 and pool.clip is None
    np.testing.assert_allclose(np.linalg.norm(pool.title, axis=1), 1, atol=1e-5)
    # one token per item behind the vocabulary, in the fixed order of items
    first = run.item_tokens.first
    assert [ids.tolist() for ids in run.item_tokens.ids] == [
        [first + rank] for rank in tie_rank(pool.catalogue.item_ids)
    ]
    assert run.item_tokens.new_tokens == 6 and run.row_norm == 0.0  # without a model


def test_memory_of_a_run(run):
    files = run.memory
    assert files.neighbors == 3 and files.products == 50 and len(files.vectors) == len(files.queries) == 1
    assert (
        files.queries == ("red boots",) and files.log.item.tolist() == [1, 2] and files.log.position.tolist() == [0, 1]
    )
    tie = tie_rank(run.pool.catalogue.item_ids)
    memory = run_memory(run, run.pool, tie)
    assert memory.top_products("Red Boots") == [1, 2] and np.array_equal(memory.key_vectors, files.vectors)
    assert run_memory(run, run.pool.without(["11"]), tie).top_products("red boots") == [2]
    assert run_memory(run, run.pool.without(["11", "12"]), tie) is None


def test_queries_of_one_user_are_not_loaded_on_request(folder, run):
    assert run.memory.askers == (1,)
    assert load_run(folder, model=False, min_askers=2).memory is None


def test_builder_of_a_run(run):
    builder = run_builder(run, run.pool, run.item_tokens)
    assert builder.settings == run.prompt and builder.item_tokens is run.item_tokens and builder.memory is None
    assert list(builder.item_names) == list(run.pool.catalogue.item_ids)


def test_the_model_is_loaded_on_request_only(folder, run, exported):
    assert run.model is None and run.tokenizer is not None
    whole = load_run(exported)
    assert whole.model.get_input_embeddings().weight.shape[0] == whole.item_tokens.first + 6 and whole.row_norm > 0
    assert whole.responses == exported / "run" and whole.manifest.part("backbone") == exported / "backbone"
    assert (
        whole.decoding == run.decoding and whole.prompt == run.prompt and whole.ranking_settings == run.ranking_settings
    )
    assert np.array_equal(whole.pool.title, run.pool.title) and np.array_equal(whole.pool.core, run.pool.core)


def test_the_trained_embeddings_of_items_are_loaded(exported):
    run = load_run(exported)
    weights = load_file(exported / "adapter_model.safetensors")
    (trained,) = (value for name, value in weights.items() if ROWS in name)
    rows = run.model.get_input_embeddings().weight[run.item_tokens.first :].detach().float().numpy()
    assert len(rows) == 6 and np.array_equal(rows, trained)


def test_tables_of_a_flat_run_have_no_index(run):
    assert run.near("title")(run.pool.title) is None


def test_other_versions_are_logged(exported, caplog, monkeypatch):
    monkeypatch.setattr(load, "versions", lambda: versions() | {"torch": "0.4"})
    with caplog.at_level(logging.WARNING):
        load_run(exported, model=False)
    assert f"made with torch {versions()['torch']} (here 0.4); lists may differ at ties" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "Recformer"}, "a run of Recformer; only LLMFashionRec can be served"),
        ({"settings": {}}, "manifest.json: lacks the entry settings.backbone; copy the run again"),
        ({"parts": {}}, "manifest.json: lacks an entry .the part run"),
    ],
    ids=["model", "settings", "parts"],
)
def test_entries_that_are_wrong(exported, changes, message):
    rewrite_manifest(exported, **changes)
    with pytest.raises(UserError, match=message) as error:
        load_run(exported, model=False)
    assert "\n" not in str(error.value)


def test_a_run_with_a_file_that_is_gone(exported):
    shutil.rmtree(exported / "run/title")
    with pytest.raises(UserError, match=r"title.* is missing"):
        load_run(exported)


def test_further_attributes_of_a_run_and_of_new_items(tmp_path):
    """Labels are the columns' names; `popularity` is a name that the package uses itself."""
    header, *rows = ITEM.splitlines()
    header += "\tseason:token\tprice:float\tfit_cut:token_seq\tpopularity:token"
    cells = ["\t49.90\t\t", "winter\t80\twide high\thit", *["\t\t\t"] * 4]
    item = "\n".join([header, *(f"{row}\t{cell}" for row, cell in zip(rows, cells, strict=True))]) + "\n"
    write_tiny(tmp_path, item=item)
    folders = {"data_path": str(tmp_path), "checkpoint_dir": str(tmp_path / "saved"), "topk": [3]}
    shown = {"prompt_attributes": ["season", "price", "fit_cut", "popularity", "brand"], "prompt_item_text": True}
    keys = {**SMALL, **folders, **shown, "valid_metric": "NDCG@3", "quantization": "none", "max_length": 300}
    config = load_config(LLMFashionRec, "tiny", (), keys)
    folder = Path(run_experiment(config, keep=True).details["run"])
    pool = load_run(folder, model=False).pool
    assert list(pool.catalogue.attributes) == ["category", "brand", "color", "size", *shown["prompt_attributes"][:-1]]
    assert pool.catalogue.attributes["popularity"][:3] == ("", "hit", "") and pool.popularity[:2].tolist() == [1, 2]
    recommender = Recommender.from_pretrained(folder)
    assert recommender.attributes == tuple(pool.catalogue.attributes)
    recommender.add_items(pd.DataFrame([{"item_id": "N", "title": "Clog", "season": "summer", "price": 12.5}]))
    actions = [
        {"action": "click", "item_id": name, "timestamp": 1700000000 + at} for at, name in enumerate(("16", "11", "N"))
    ]
    (first,) = recommender.recommend(actions, k=1, explain=True)
    assert first.prompt.splitlines()[1:4] == [
        "click 16 | Gilt Evening Clutch | price: 49.9 | brand: Lumo | Nov, near Black Friday",
        "click 11 | Norda Red Winter Boots | season: winter | price: 80 | fit_cut: wide high | popularity: hit"
        " | brand: Norda",
        "click N | Clog | season: summer | price: 12.5",
    ]


def test_an_export_of_an_earlier_release_has_its_adapter_in_a_folder(exported, tmp_path):
    """With peft's card, which names a path of the machine and is not copied again."""
    parts = json.loads((exported / "manifest.json").read_text())["parts"]
    (exported / "adapter").mkdir()
    for file in ("adapter_config.json", "adapter_model.safetensors", "backbone.json"):
        (exported / file).rename(exported / "adapter" / file)
    (exported / "adapter/README.md").write_text("base_model: /home/me/falcon")
    names = ("adapter_config.json", "adapter_model.safetensors", "backbone.json", "README.md")
    parts["adapter"] = {"path": "adapter", "files": {file: file_sha256(exported / "adapter" / file) for file in names}}
    rewrite_manifest(exported, parts=parts)
    before = load_run(exported, model=False)
    export_run(exported, tmp_path / "again")
    again = load_run(tmp_path / "again", model=False)
    assert before.manifest.part("adapter") == exported / "adapter"
    assert again.manifest.part("adapter") == tmp_path / "again" and not again.manifest.lists("adapter", "README.md")
    assert "/home/me" not in (tmp_path / "again/README.md").read_text()
    assert again.pool.titles == before.pool.titles and again.manifest.lists("adapter", "tokenizer.json")
