"""A run on its way to another machine: what is copied, what is checked, which errors are printed."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.pipeline.manifest import file_sha256, read_manifest, write_manifest
from recbole_llmfashion.pipeline.save import licence
from recbole_llmfashion.retrieval.ranking import ENCODER, FUSED, GROUPS, IMAGE
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.manifests import rewrite_manifest
from tests.helpers.sessions import sessions

load = Recommender.from_pretrained
ATOMIC = {"kind": "atomic", "new_tokens": 300, "trained": True}


@pytest.fixture(scope="module")
def exported(job, tmp_path_factory):
    out = tmp_path_factory.mktemp("elsewhere") / "run"
    export_run(Path(job.run), out, min_askers=2)
    return out


def refused(expected, work, *arguments, **options):
    with pytest.raises(UserError, match=expected) as error:
        work(*arguments, **options)
    assert "\n" not in str(error.value)


def test_results_name_each_run(job):
    assert Path(job.run).parent == job.root / "saved/shoes/runs"
    refused("trained RecBole model, which cannot be served", load, job.models["CORE"]["run"])
    assert "run" not in job.models["Popularity"]
    refused("not a run folder", load, job.root)
    refused("not a run folder", load, job.root / "nowhere")


def test_an_exported_run_needs_nothing_beside_it(semantic_job, tmp_path):
    """Without dataset and stages a test user's list is still the evaluator's, and a new item gets its codes."""
    job, exported = semantic_job, tmp_path / "run"
    export_run(Path(job.run), exported, min_askers=1)
    actions = sessions(job.data)
    away = job.root.with_name("away")
    job.root.rename(away)
    try:
        recommender = load(exported)
        for user, row in job.ranks.head(3).iterrows():
            served = recommender.recommend(actions[user][0], now=actions[user][1])
            assert [line.item for line in served] == row["top"].tolist()
        recommender.add_items(pd.DataFrame({"item_id": ["NEW1"], "title": ["Red Winter Boots"]}))
        assert len(recommender._state.item_tokens.ids[300]) == 4 and (exported / "run/codes.faiss").is_file()
    finally:
        away.rename(job.root)


def test_what_the_manifest_tells(job, exported):
    content = read_manifest(exported).content
    assert content["format"] == 2 and content["dataset"] == "shoes" and content["seed"] == 2020
    assert content["metrics"]["ndcg@10"] == job.models["LLMFashionRec"]["ndcg@10"]
    assert {"python", "torch", "recbole_llmfashion"} <= content["versions"].keys()
    assert content["backbone"] == {
        "name": "embedded",
        "licence": "MIT, part of this package, not trained on this dataset",
    }
    settings, first = content["settings"], content["settings"]["items"].pop("first")
    assert settings["items"].pop("key") and first >= 4096 and settings["items"] == ATOMIC
    assert settings["beams"] == 100 and settings["memory"] == {"neighbors": 3, "products": 5, "depth": 50}
    assert settings["mixing"]["ranking"] == "fusion" and settings["mixing"]["weights"].keys() == set(GROUPS)
    assert all(weights.keys() == set(FUSED) - {ENCODER, IMAGE} for weights in settings["mixing"]["weights"].values())
    assert {path: part["path"] for path, part in content["parts"].items()} == {
        "run": "run", "adapter": ".", "backbone": "backbone",
    }  # fmt: skip
    files = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    parts = content["parts"]
    named = {Path(parts[part]["path"], file).as_posix() for part, file, _ in read_manifest(exported).files()}
    assert files == named | {"manifest.json", "README.md"}
    assert "README.md" not in named  # a card may be edited
    assert {Path(file).suffix for file in named} <= {".json", ".parquet", ".safetensors", ".md", ".jinja"}
    users = {user.encode() for user in sessions(job.data)}
    assert not any(user in (exported / file).read_bytes() for user in users for file in named)


def with_memory(run, out, change):
    """An export of a run with all queries, and with another memory.parquet."""
    export_run(Path(run), out, min_askers=1)
    file = out / "run/memory.parquet"
    change(pd.read_parquet(file)).to_parquet(file, index=False)
    parts = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["parts"]
    parts["run"]["files"]["memory.parquet"] = file_sha256(file)
    rewrite_manifest(out, parts=parts)
    return out


def test_an_export_tells_nothing_of_one_user_alone(job, tmp_path):
    """By default the memory has queries of five users or more, and no file is keyed by the history of a user."""
    own = pd.read_parquet(Path(job.run) / "memory.parquet")
    assert own.equals(own.sort_values(["query", "item", "position"], ignore_index=True))
    assert set(own["askers"]) == {1}  # the queries of these fourteen users differ
    queries = sorted(set(own["query"]))
    shared, rare = queries[::2], queries[1::2]
    run = with_memory(job.run, tmp_path / "run", lambda frame: frame.assign(askers=4 + frame["query"].isin(shared)))
    exported = tmp_path / "exported"
    export_run(run, exported)
    frame = pd.read_parquet(exported / "run/memory.parquet")
    assert frame.drop(columns="askers").equals(own[own["query"].isin(shared)].iloc[:, :3].reset_index(drop=True))
    entry = read_manifest(exported).content["memory"]
    assert entry == {"min_askers": 5, "queries": len(shared), "left_out": len(rare)} and len(rare) > 10
    assert not list(exported.rglob("responses.parquet"))
    data = b"".join(path.read_bytes() for path in exported.rglob("*") if path.is_file())
    assert not any(key.encode() in data for key in pd.read_parquet(Path(job.run) / "responses.parquet")["prompt"])

    by_five, everything = load(exported), load(run)
    assert everything.memory_queries == (len(queries), 0) and by_five.memory_queries == (len(shared), 0)
    assert by_five.state.memory.keys == shared and everything.state.memory.keys == queries
    filtered = load(run, min_askers=5)  # the same memory without an export
    actions = [{"action": "search", "query": rare[0], "timestamp": 1700000000}]
    assert filtered.recommend(actions) == by_five.recommend(actions)
    export_run(exported, tmp_path / "again", min_askers=1)  # what was left out does not come back
    assert read_manifest(tmp_path / "again").content["memory"] == entry


def test_an_export_has_no_pair_of_items_that_one_user_alone_took(job, exported):
    """All pairs of an item that one user took would be that user's history."""
    own, copied = (load_file(run / "neighbors.safetensors") for run in (Path(job.run), exported / "run"))
    assert own["common"].min() == 1 and (own["common"] >= 2).any() and copied["common"].min() == 2
    assert len(copied["common"]) == (own["common"] > 1).sum() and np.array_equal(own["users"], copied["users"])
    filtered = load(job.run, min_askers=2).state.rankers.neighbor_list
    items = torch.arange(len(own["users"]))[:, None]
    assert torch.equal(filtered.top(items, 9), load(exported).state.rankers.neighbor_list.top(items, 9))


def test_a_run_of_an_earlier_release_has_no_neighbors_list(job, tmp_path):
    out = tmp_path / "run"
    export_run(Path(job.run), out, min_askers=1)
    content = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    (out / "run/neighbors.safetensors").unlink()
    del content["parts"]["run"]["files"]["neighbors.safetensors"]
    assert content["settings"].pop("neighbors") == {"history": 10}
    for weights in content["settings"]["mixing"]["weights"].values():
        del weights["neighbors"]
    rewrite_manifest(out, parts=content["parts"], settings=content["settings"])
    recommender = load(out)
    assert recommender.state.rankers.neighbor_list is None
    actions = [{"action": "click", "item_id": recommender.state.pool.catalogue.item_ids[0], "timestamp": 1700000000}]
    lines = recommender.recommend(actions)
    assert len(lines) == 10 and "neighbors" not in {line.list for line in lines}


def test_an_export_whose_queries_are_all_rare_has_no_memory(job, exported):
    """As here, where no two of fourteen users searched for the same."""
    recommender = load(exported)
    assert read_manifest(exported).content["memory"]["queries"] == 0 and recommender.state.memory is None
    actions = [{"action": "search", "query": "red boots", "timestamp": 1700000000}]
    assert recommender.memory_queries == (0, 0) and len(recommender.recommend(actions)) == 10


def test_a_run_that_did_not_count_users_is_exported_whole_or_not_at_all(job, tmp_path):
    old = with_memory(job.run, tmp_path / "old", lambda frame: frame.drop(columns="askers"))
    refused("does not say how many users searched", export_run, old, tmp_path / "out")
    refused("does not say how many users searched", load, old, min_askers=2)
    assert [path.name for path in tmp_path.iterdir()] == ["old"] and load(old).memory_queries[0] > 0


def copy_of(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def test_a_file_that_changed_or_is_gone(exported, tmp_path):
    copy = copy_of(exported, tmp_path)
    weights = copy / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(r"adapter_model.safetensors was changed .* copy the exported run again", load, copy)
    weights.unlink()
    refused("adapter_model.safetensors is missing", load, copy)


def test_a_manifest_that_is_newer_older_changed_or_broken(exported, tmp_path):
    copy = copy_of(exported, tmp_path)
    rewrite_manifest(copy, format=3)
    refused("format 3, and this release .* reads format 2; upgrade recbole_llmfashion", load, copy)
    rewrite_manifest(copy, format=1)
    refused("format 1, .*; run the main job again", load, copy)
    rewrite_manifest(copy, format=2, model="SASRec")
    refused("a run of SASRec; only LLMFashionRec can be served", load, copy)
    rewrite_manifest(copy, digest=False, model="LLMFashionRec", seed=7)
    refused("was changed after it was written", load, copy)
    rewrite_manifest(copy, settings={})
    refused("lacks the entry settings", load, copy)
    rewrite_manifest(copy, parts={})
    refused("lacks an entry", load, copy)
    rewrite_manifest(copy, parts={"run": {"path": ".", "files": {"../../x": "0"}}})
    refused("outside its part", export_run, copy, tmp_path / "out")
    rewrite_manifest(copy, parts=["run"])
    refused("not readable", load, copy)
    for text in ("{", "[]", "[" * 10**5, '{"format": "x"}'):
        (copy / "manifest.json").write_text(text)
        refused("not readable", load, copy)


def test_other_versions_are_a_warning(exported, tmp_path, caplog):
    copy = copy_of(exported, tmp_path)
    rewrite_manifest(copy, versions={**read_manifest(copy).content["versions"], "torch": "1.0"})
    load(copy)
    assert "made with torch 1.0 (here" in caplog.text


def test_two_writers_on_one_folder(job, tmp_path):
    """One wins, the other gets an error; the folder is whole and nothing is left beside it."""

    def export(number):
        try:
            export_run(Path(job.run), tmp_path / "out")
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        messages = list(pool.map(export, range(2)))
    assert messages.count(None) == 1 and any(text and "exists; choose a new folder" in text for text in messages)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and read_manifest(tmp_path / "out")


def test_a_folder_that_cannot_be_written(job, tmp_path):
    (tmp_path / "file").write_text("")
    refused("--out: .*: cannot write", export_run, Path(job.run), tmp_path / "file/out")


def test_clip_weights_of_this_machine_cannot_be_exported(tmp_path):
    write_manifest(tmp_path, {"clip": "checkpoint:ViT-B-32/mine.pt"}, {"run": tmp_path}, tmp_path)
    refused("its CLIP weights are a file of this machine", export_run, tmp_path, tmp_path / "out")


def test_the_licence_as_far_as_it_is_known(tmp_path):
    assert licence("tiiuae/falcon-7b") == "see https://huggingface.co/tiiuae/falcon-7b"
    assert (
        licence("tiny-falcon-untrained")
        == licence("tiny-falcon")
        == "MIT, part of this package, not trained on this dataset"
    )
    assert licence(str(tmp_path)).startswith("unknown")
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    assert licence(str(tmp_path)) == "apache-2.0"


def test_the_commands(job, tmp_path):
    session = tmp_path / "session.jsonl"
    session.write_text(
        f'{{"action": "search", "query": "{"boots " * 100}", "timestamp": 1699999999}}\n'
        '{"action": "search", "query": "red boots", "timestamp": 1700000000}\n'
        '{"action": "click", "item_id": "gone", "timestamp": 1700000001}\n'
    )
    words = ["recommend", "--run", job.run, "--actions", str(session)]
    made = CliRunner().invoke(app, words)
    lines = [json.loads(line) for line in made.stdout.splitlines()]
    assert made.exit_code == 0 and len(lines) == 10 and made.stderr.endswith("unknown items: 1, shortened texts: 1\n")
    assert all(line.keys() == {"item", "title", "score", "list"} for line in lines)
    detailed = CliRunner().invoke(app, [*words, "--explain", "--k", "2"])
    explained = [json.loads(line) for line in detailed.stdout.splitlines()]
    assert [line["item"] for line in explained] == [line["item"] for line in lines[:2]]
    assert "red boots" in explained[0]["prompt"] and "product ID:" in explained[0]["response"]
    out = CliRunner().invoke(app, ["export", "--run", job.run, "--out", str(tmp_path / "out")])
    assert out.exit_code == 0 and "licence: MIT, part of this package" in out.stdout and "ndcg@10" in out.stdout
    assert "queries of at least 5 users; " in out.stdout and "of fewer were left out" in out.stdout
    whole = ["export", "--run", job.run, "--out", str(tmp_path / "whole"), "--min_askers", "1"]
    assert "also those that one user alone searched for (min_askers=1)" in CliRunner().invoke(app, whole).stdout
    failed = CliRunner().invoke(app, [*words, "--k", "301"])
    assert isinstance(failed.exception, UserError)
