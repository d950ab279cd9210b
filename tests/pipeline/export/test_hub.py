"""Runs on a hub of this machine: uploaded when that is called for, downloaded by name, refused in one line."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.export import check_repository, export_run, find_run, upload_run
from recbole_llmfashion.pipeline.manifest import read_manifest, write_content
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.hub import TOKEN, fake_hub

NAME = "me/shop"
SESSION = [{"action": "click", "item_id": "13", "timestamp": 1701000000}]


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with fake_hub(monkeypatch, tmp_path / "cache") as hub:
        yield hub


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "run"
    export_run(tiny_run, out)
    return out


def refused(expected, work, *arguments, **options):
    with pytest.raises(UserError, match=expected) as error:
        work(*arguments, **options)
    assert "\n" not in str(error.value)


def test_a_run_goes_to_the_hub_and_comes_back(tiny_run, hub):
    recommender = Recommender.from_pretrained(tiny_run)
    assert hub.requests == []  # a folder needs no network
    url = recommender.push_to_hub(NAME, token=TOKEN)
    assert hub.private == {NAME} and url.endswith(f"/{NAME}/commit/{hub.sha(NAME, 1)}")
    files = hub.commits[NAME][-1]
    assert {"README.md", "adapter_config.json", "run/catalogue.parquet", "backbone/model.safetensors"} <= files.keys()
    assert json.loads(files["manifest.json"])["memory"]["min_askers"] == 5
    assert not any("responses" in path or path == "local.json" for path in files)
    back = Recommender.from_pretrained(NAME, token=TOKEN)
    filtered = Recommender.from_pretrained(tiny_run, min_askers=5)
    assert back.recommend(SESSION, k=5) == filtered.recommend(SESSION, k=5)


def test_only_files_of_the_manifest_are_downloaded_and_each_is_checked(exported, hub):
    upload_run(exported, NAME, token=TOKEN)
    files = hub.commits[NAME][-1]
    files |= {"pytorch_model.bin": b"pickle", "backbone/modeling.py": b"import os"}
    files["README.md"] += b"A card may be edited."
    folder = find_run(NAME, token=TOKEN)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == files.keys() - {"pytorch_model.bin", "backbone/modeling.py", "README.md", ".gitattributes"}
    assert read_manifest(folder).digest == read_manifest(exported).digest

    hub.commits[NAME].append(files | {"adapter_model.safetensors": b"others"})
    refused("adapter_model.safetensors was changed", Recommender.from_pretrained, NAME, token=TOKEN)
    assert find_run(NAME, hub.sha(NAME, 1), TOKEN) == folder  # the commit before


def test_a_second_upload_replaces_the_first(exported, hub, tmp_path):
    upload_run(exported, NAME, token=TOKEN)
    hub.commits[NAME][-1] |= {"run/responses.parquet": b"old", "picture.png": b"the owner's"}
    other = shutil.copytree(exported, tmp_path / "other")
    (other / "README.md").write_text("another card")
    upload_run(other, NAME, token=TOKEN)
    files = hub.commits[NAME][-1]
    assert "run/responses.parquet" not in files and files["README.md"] == b"another card" and "picture.png" in files
    assert files["run/catalogue.parquet"] == (exported / "run/catalogue.parquet").read_bytes()


def test_what_is_private_stays_so(exported, hub):
    upload_run(exported, NAME, private=False, token=TOKEN)
    assert hub.private == set() and find_run(NAME)
    before = len(hub.commits[NAME])
    refused(f"private: {NAME} exists and is public", upload_run, exported, NAME, token=TOKEN)
    assert len(hub.commits[NAME]) == before
    upload_run(exported, "me/own", token=TOKEN)
    refused("me/own: no such folder, and no run from the hub .*check the name, revision, token", find_run, "me/own")


def test_what_the_hub_refuses(exported, hub, tmp_path, monkeypatch):
    refused("me/nothing: no such folder, and no run from the hub", Recommender.from_pretrained, "me/nothing")
    refused(f"{NAME}: not uploaded .*right to write", upload_run, exported, NAME, token="hf_wrong")
    assert hub.commits == {}
    upload_run(exported, NAME, token=TOKEN)
    refused("no run from the hub", find_run, NAME, "v2", TOKEN)
    hub.commits[NAME].append({"model.safetensors": b"another model"})
    refused(f"{NAME}: the repository is no exported run, it has no manifest.json", find_run, NAME, None, TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("no such folder, and no run from the hub", find_run, "me/other")


def test_names_that_are_no_repositories_make_no_request(tiny_run, exported, hub, tmp_path):
    for name in ("./run", "/nowhere", "a/b/c", "saved/shop/runs/1", "~/run", "a b/c", tmp_path / "gone"):
        refused("not a run folder, there is no such folder", Recommender.from_pretrained, name)
    refused("is a folder, which has no revisions", Recommender.from_pretrained, exported, revision="main")
    for name in ("", "a/b/c", "../run", "a b"):
        refused("repo_id: .* is no name of a repository", check_repository, name)
        refused("is no name of a repository", upload_run, exported, name)
    refused("needs files outside of its folder; export it", upload_run, tiny_run, NAME)
    recommender = Recommender.from_pretrained(exported)
    recommender.remove_items(["13"])
    refused("items of .* were added or removed", recommender.push_to_hub, NAME, token=TOKEN)
    assert hub.requests == []


@pytest.mark.parametrize("path", ["", "../..", "/etc", "package:llm"])
def test_a_manifest_of_the_hub_names_no_other_folder(exported, hub, tmp_path, path):
    upload_run(exported, NAME, token=TOKEN)
    content = json.loads(hub.commits[NAME][-1]["manifest.json"])
    content["parts"]["backbone"]["path"] = path
    write_content(tmp_path, content)
    hub.commits[NAME].append({"manifest.json": (tmp_path / "manifest.json").read_bytes()})
    refused(f"{NAME}: the run needs files outside of its folder", find_run, NAME, None, TOKEN)


def test_the_command_uploads_only_with_its_option(tiny_run, hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    command = ["export", "--run", str(tiny_run), "--out"]
    done = CliRunner().invoke(app, [*command, str(tmp_path / "one")])
    assert done.exit_code == 0 and hub.requests == []
    done = CliRunner().invoke(app, [*command, str(tmp_path / "two"), "--push_to_hub", NAME])
    assert done.exit_code == 0 and f"/{NAME}/commit/" in done.output and hub.private == {NAME}
    done = CliRunner().invoke(app, [*command, str(tmp_path / "three"), "--push_to_hub", "a/b/c"])
    assert isinstance(done.exception, UserError) and not (tmp_path / "three").exists()
