"""The model card: metadata that the hub's own reader takes, figures and limits of the run, no path."""

import json
from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard

from recbole_llmfashion.llm.modeling import peft_layout
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.pipeline.export import export_run, model_card
from recbole_llmfashion.pipeline.manifest import read_manifest
from recbole_llmfashion.retrieval.ranking import IMAGE


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "run"
    export_run(tiny_run, out)
    return SimpleNamespace(folder=out, content=read_manifest(out).content, text=(out / "README.md").read_text())


def test_metadata(exported):
    shipped = {"name": "embedded", "licence": "MIT, part of this package, not trained on this dataset"}
    data = ModelCard(changed(exported.content, backbone=shipped)).data
    assert (data.license, data.library_name, data.base_model) == ("mit", "recbole_llmfashion", "tiny-falcon")
    assert data.datasets == ["tiny"] and data.metrics == ["mrr", "ndcg", "recall"] and "peft" in data.tags
    figures = {result.metric_type: result.metric_value for result in data.eval_results}
    assert figures == exported.content["metrics"] and "ndcg@3" in figures


def test_figures_protocol_and_hash(exported):
    content = exported.content
    for name, value in content["metrics"].items():
        assert f"| {name} | {value:.4f} |" in exported.text
    data = content["data"]
    assert len(data["sha256"]) == 64 and f"`{data['sha256']}`" in exported.text
    assert data["items"] == 6 and "a ranked list of 6 items" in exported.text and data["test"] > 0
    assert f"{data['train']} for training, {data['valid']} for validation, {data['test']} for test." in exported.text
    assert "the last purchase of each user is the test row" in exported.text
    assert "among all items" in exported.text and "seed 2020" in exported.text


def changed(content, **entries):
    return model_card({**json.loads(json.dumps(content)), **entries})


LICENCES = {
    "MIT, part of this package, not trained on this dataset": ("mit", None),
    "apache-2.0": ("apache-2.0", None),
    "see https://huggingface.co/tiiuae/falcon-7b": ("other", "https://huggingface.co/tiiuae/falcon-7b"),
    "unknown: its folder has no README.md that names a license": ("unknown", None),
}


@pytest.mark.parametrize("text", LICENCES)
def test_licence(exported, text):
    data = ModelCard(changed(exported.content, backbone={"name": "x", "licence": text})).data.to_dict()
    assert (data["license"], data.get("license_link")) == LICENCES[text]


def test_a_backbone_of_the_hub_is_named_with_its_commit(exported):
    parts = {name: part for name, part in exported.content["parts"].items() if name != "backbone"}
    backbone = {"name": "tiiuae/falcon-7b", "licence": "apache-2.0", "revision": "898df1"}
    text = changed(exported.content, parts=parts, backbone=backbone)
    assert 'from_pretrained("tiiuae/falcon-7b", revision="898df1")' in text and "DIR/backbone" not in text
    assert ModelCard(text).data.base_model == "tiiuae/falcon-7b"


def test_what_it_says_of_queries_and_history(exported):
    rare = changed(exported.content, memory={"min_askers": 2, "queries": 10, "left_out": 1990})
    assert "fewer than 2 users searched for (1,990 of 2,000 were left out)" in rare
    every = changed(exported.content, memory={"min_askers": 1, "queries": 10, "left_out": 0})
    assert "It does know queries that one user alone searched for (10 queries" in every
    masked = changed(exported.content, settings=exported.content["settings"] | {"mask_history": True})
    assert "left out of the lists" in masked and "kept in the lists" in exported.text


def with_settings(exported, **settings):
    return changed(exported.content, settings=exported.content["settings"] | settings)


@pytest.mark.parametrize(
    ("attributes", "lists", "line"),
    [
        (["size", "fit"], [], "- Pictures and other texts of items: it reads titles and the attributes size, fit."),
        ([], [], "- Pictures and other texts of items: it reads titles alone."),
        ([], [IMAGE], "- Other texts of items: it reads titles and vectors of pictures, which a new item lacks."),
        (
            ["size"],
            [IMAGE],
            "- Other texts of items: it reads titles, the attributes size and vectors of pictures, "
            "which a new item lacks.",
        ),
    ],
)
def test_what_it_reads_of_items(exported, attributes, lists, line):
    weights = {group: dict.fromkeys(["id", *lists], 1.0) for group in ("known", "new")}
    mixing = exported.content["settings"]["mixing"] | {"weights": weights}
    assert line in with_settings(exported, prompt={"attributes": attributes}, mixing=mixing).splitlines()


def test_where_the_vectors_of_a_new_item_come_from(exported):
    texts = "a new item has no popularity, and its vectors are those of its own title"
    row = "which is that of the nearest title."
    sampled = with_settings(exported, session_model={"name": "SASRecSampled"})
    assert f"{texts}, but for its row of the ID model SASRecSampled, {row}" in sampled
    paper = {name: value for name, value in exported.content["settings"].items() if name != "session_model"}
    assert f"{texts}, but for its row of the ID model CORE, {row}" in changed(exported.content, settings=paper)
    assert f"{texts}.\n" in changed(exported.content, keys={"source_dataset": "footwear"})


@pytest.mark.parametrize("name", ["a: b", "- x", "---", "#1", "ünï", "'", "{}"])
def test_a_dataset_of_any_name_is_metadata(exported, name):
    assert ModelCard(changed(exported.content, dataset=name)).data.datasets == [name]


def test_a_run_of_an_earlier_release_has_a_card(exported):
    content = {name: value for name, value in exported.content.items() if name not in ("data", "keys", "memory")}
    text = model_card(content)
    assert "SHA-256 of the data" not in text and "| ndcg@3 |" in text


def test_an_adapter_of_a_hub_model_names_it(tmp_path, monkeypatch):
    """So that transformers finds the base model by itself."""
    real = peft_layout.load_tokenizer, peft_layout.load_config
    monkeypatch.setattr(peft_layout, "load_tokenizer", lambda name, revision: real[0](str(TINY_FALCON_FOLDER)))
    monkeypatch.setattr(peft_layout, "load_config", lambda name, revision: real[1](str(TINY_FALCON_FOLDER)))
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "base_model_name_or_path": null}')
    peft_layout.complete_adapter(tmp_path, "owner/model", "abc", 4200)
    about = json.loads((tmp_path / "adapter_config.json").read_text())
    assert about == {"r": 4, "base_model_name_or_path": "owner/model", "revision": "abc"}
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == 4200
    assert (tmp_path / "tokenizer.json").is_file()
    peft_layout.complete_adapter(tmp_path, str(TINY_FALCON_FOLDER), None, None)
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == 4096
