"""manifest.json of a run folder with three small files, and of the stage of its adapter."""

import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from recbole_llmfashion.cli.terminal import guarded
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline import manifest
from recbole_llmfashion.pipeline.export import export_run, model_card
from recbole_llmfashion.pipeline.export import folder as export_folder
from recbole_llmfashion.pipeline.manifest import OWN, Manifest, read_manifest, write_manifest
from recbole_llmfashion.stage_store import StageStore, sha256
from tests.helpers.disks import small_disk
from tests.helpers.manifests import rewrite_manifest

# sha256sum of the files that `run` writes
SHA = {
    '{"a": 1}': "f9d86028c6e0d64e225186f96acb69338b2c59764df79162107f5c4bb34d1310",
    "rows": "bc51e9e65d79e1c90ba544ab2eae1044ccdf8c1af7a559ba375cba4276f7d99e",
    "weights": "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c",
}
ENTRIES = {
    "model": "LLMFashionRec",
    "dataset": "shop",
    "seed": 7,
    "clip": "",
    "metrics": {},
    "versions": {},
    "backbone": {"name": "tiny-falcon", "licence": "MIT"},
    "settings": {
        "mixing": {"ranking": "fusion"},
        "items": {"kind": "text"},
        "prompt": {"attributes": []},
        "backbone": {"quantization": "none"},
        "mask_history": False,
    },
}
CONTENT = {
    "format": 2,
    **ENTRIES,
    "parts": {
        "run": {
            "path": ".",
            "files": {"responses.parquet": SHA["rows"], "title/title.json": SHA['{"a": 1}']},
        },
        "adapter": {"path": "../../stages/adapter-1", "files": {"adapter_model.safetensors": SHA["weights"]}},
    },
}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def run(tmp_path):
    """The run folder <tmp_path>/runs/1, whose adapter is in <tmp_path>/stages/adapter-1."""
    folder, adapter = tmp_path / "runs/1", tmp_path / "stages/adapter-1"
    write(folder / "responses.parquet", "rows")
    write(folder / "title/title.json", '{"a": 1}')
    write(folder / "log.tmp", "not a file of the run")
    write(adapter / "adapter_model.safetensors", "weights")
    write(adapter / "stage.json", '{"seconds": 3}')
    write(adapter / "checkpoint/old.json", "not a file of the stage")
    write_manifest(folder, ENTRIES, {OWN: folder, "adapter": adapter}, folder)
    return folder


def refused(message, work, *arguments):
    with pytest.raises(UserError, match=message) as error:
        work(*arguments)
    assert "\n" not in str(error.value)


def test_content_and_digests(run):
    digest = "c2e69ba0b3d3f12223e0bbd0a0a2d43d105b12c121b9944be4482445d23048ad"
    assert json.loads((run / "manifest.json").read_text()) == CONTENT | {"sha256": digest}


def test_parts_of_a_manifest(run):
    manifest = read_manifest(run)
    assert manifest.part(OWN) == run and manifest.part("backbone") is None
    assert manifest.part("adapter").resolve() == (run.parents[1] / "stages/adapter-1").resolve()
    assert manifest.files() == [
        ("run", Path("responses.parquet"), SHA["rows"]),
        ("run", Path("title/title.json"), SHA['{"a": 1}']),
        ("adapter", Path("adapter_model.safetensors"), SHA["weights"]),
    ]


def test_a_part_with_an_absolute_path(run, tmp_path):
    """The path of a part may be absolute; that of a file within it may not."""
    adapter = CONTENT["parts"]["adapter"] | {"path": str(tmp_path / "stages/adapter-1")}
    rewrite_manifest(run, parts=CONTENT["parts"] | {"adapter": adapter})
    assert read_manifest(run).part("adapter") == tmp_path / "stages/adapter-1"
    for name in (
        str(tmp_path / "stages/adapter-1/adapter_model.safetensors"),
        "../adapter-1/adapter_model.safetensors",
    ):
        content = CONTENT | {"parts": {"adapter": {"path": "../../stages/adapter-1", "files": {name: SHA["weights"]}}}}
        refused("outside its part", Manifest(run, content).files)


@pytest.mark.parametrize("parts", [["run"], {"run": {"path": "."}}, {"run": None}, {"run": {"files": ["a"]}}])
def test_parts_that_list_no_files(run, parts):
    refused("not readable", Manifest(run, {"parts": parts}).files)
    refused("not readable", Manifest(run, {}).files)


def test_a_model_file_that_nobody_signed(run, tmp_path):
    folder = write(tmp_path / "backbone/config.json", "{}").parent
    backbone = {"path": str(folder), "files": {"config.json": "", "model.safetensors": ""}}
    signed = Manifest(run, CONTENT | {"parts": CONTENT["parts"] | {"backbone": backbone}})
    for name in ("model.safetensors", "notes.csv", "README.md", "pytorch_model.bin"):
        write(folder / name, "listed, or nothing that a model is loaded from")
    signed.check_no_other_model_files("backbone")
    write(folder / "generation_config.json", "{}")
    refused("generation_config.json: is not a file of the run", signed.check_no_other_model_files, "backbone")


def test_a_changed_file(run):
    write(run.parents[1] / "stages/adapter-1/adapter_model.safetensors", "weighty")
    refused(r"adapter_model\.safetensors .*its sha256 differs", read_manifest, run)


def test_a_missing_part(run):
    (run.parents[1] / "stages").rename(run.parents[1] / "elsewhere")
    refused(r"adapter_model\.safetensors is missing; run the main job", read_manifest, run)


def test_files_of_no_listed_kind_may_change(run):
    write(run / "log.tmp", "other")
    write(run.parents[1] / "stages/adapter-1/stage.json", "{}")
    assert len(read_manifest(run).files()) == 3


def test_another_format(run):
    rewrite_manifest(run, format=3)
    refused("format 3, and this release .* reads format 2; upgrade recbole_llmfashion", read_manifest, run)
    (run / "manifest.json").write_text(json.dumps(CONTENT | {"format": 1}))
    refused("format 1, .*; run the main job again", read_manifest, run)


def test_an_entry_changed_by_hand(run):
    text = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(text.replace('"seed": 7', '"seed": 8'))
    refused("was changed after it was written", read_manifest, run)


def test_folders_that_are_no_run(run, tmp_path):
    refused("it has no manifest.json", read_manifest, tmp_path)
    write(tmp_path / "fit.json", "{}")
    refused("a trained RecBole model, which cannot be served", read_manifest, tmp_path)
    for text in ("{", "[]", "[" * 10**5, "{}", '{"format": "x"}', '{"format": null}'):
        write(run / "manifest.json", text)
        refused("not readable", read_manifest, run)


def test_exported_run(run, tmp_path):
    out = tmp_path / "deep/out"
    export_run(run, out)
    assert {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.*") if path.is_file()} == {
        "manifest.json": (out / "manifest.json").read_text(),
        "run/title/title.json": '{"a": 1}',
        "adapter_model.safetensors": "weights",
        "README.md": model_card(read_manifest(out).content),
    }
    content, original = read_manifest(out).content, read_manifest(run).content
    assert {name: part["path"] for name, part in content["parts"].items()} == {"run": "run", "adapter": "."}
    assert content["parts"]["adapter"]["files"] == original["parts"]["adapter"]["files"]
    assert content["parts"]["run"]["files"] == {"title/title.json": SHA['{"a": 1}']}  # without responses
    assert content["seed"] == 7 and content["sha256"] != original["sha256"]
    assert out.stat().st_mode & 0o777 == 0o755 and [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["responses.parquet", "title.json", "adapter_model.safetensors"])
def test_a_file_that_changes_while_it_is_copied_is_not_signed(run, tmp_path, monkeypatch, name):
    def copied(source, target, length):
        target.write(source.read() + (b" " if Path(source.name).name == name else b""))

    monkeypatch.setattr(export_folder.shutil, "copyfileobj", copied)
    refused(f"{name} changed while it was copied", export_run, run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_leaves_nothing_behind_when_it_fails(run, tmp_path):
    out = tmp_path / "deep/out"
    write(out / "mine.txt", "kept")
    refused("--out: .*out exists; choose a new folder", export_run, run, out)
    rewrite_manifest(run, clip="checkpoint:ViT-B-32/mine.pt")
    refused("its CLIP weights are a file of this machine", export_run, run, tmp_path / "deep/other")
    assert [path.name for path in out.parent.iterdir()] == ["out"] and (out / "mine.txt").read_text() == "kept"


def test_paths_of_parts(tmp_path):
    """Relative below the folder of all datasets, by name within the package, and in local.json elsewhere."""
    final, elsewhere = tmp_path / "saved/shop/runs/1", tmp_path / "models/falcon"
    stage, shipped = tmp_path / "saved/other/stages/adapter-1", Path(manifest.__file__).parents[1] / "llm"
    for folder in (final, elsewhere, stage):
        write(folder / "a.json", "{}")
    write_manifest(final, {"clip": ""}, {"run": final, "adapter": stage, "backbone": elsewhere, "code": shipped}, final)
    text = (final / "manifest.json").read_text()
    assert str(tmp_path) not in text
    paths = {name: part["path"] for name, part in json.loads(text)["parts"].items()}
    assert paths == {"run": ".", "adapter": "../../../other/stages/adapter-1", "backbone": "", "code": "package:llm"}
    refused(r"local\.json: does not say where the backbone is", read_manifest, final)
    write(final / "local.json", json.dumps({"parts": {"backbone": str(elsewhere)}}))
    read = read_manifest(final)
    assert (read.part("backbone"), read.part("code")) == (elsewhere, shipped)
    for text in ("[", "[]", "{}", '{"parts": []}', '{"parts": {"backbone": 1}}', '{"parts": {}, "data_path": 3}'):
        write(final / "local.json", text)
        refused(r"local\.json: (is damaged|does not say where)", read_manifest, final)


def test_digest_of_a_run_is_that_of_its_content(run, tmp_path):
    before = read_manifest(run).digest
    (run.parents[1] / "stages").rename(run.parents[1] / "moved")
    adapter = CONTENT["parts"]["adapter"] | {"path": "../../moved/adapter-1"}
    content = CONTENT | {"parts": CONTENT["parts"] | {"adapter": adapter}}
    content["sha256"] = sha256(content)
    (run / "manifest.json").write_text(json.dumps(content))
    assert read_manifest(run).digest == before
    rewrite_manifest(run, seed=8)
    assert read_manifest(run).digest != before
    other = CONTENT["parts"]["adapter"] | {"files": {"adapter_model.safetensors": SHA["rows"]}}
    assert Manifest(run, CONTENT).digest == before
    assert Manifest(run, CONTENT | {"parts": CONTENT["parts"] | {"adapter": other}}).digest != before


def test_a_damaged_stage_is_not_signed(run, tmp_path):
    stage = StageStore(tmp_path / "saved").get("adapter", {}, lambda folder: write(folder / "a.json", "{}"))
    write_manifest(run, {"clip": ""}, {OWN: run, "adapter": stage}, run)
    write(stage / "a.json", "[]")
    parts = {OWN: run, "adapter": stage}
    refused("a.json was changed .*; remove this folder", write_manifest, run, {"clip": ""}, parts, run)
    write(stage / "stage.json", "{")
    refused("stage.json is damaged; remove this folder", write_manifest, run, {"clip": ""}, parts, run)


def test_files_that_the_system_does_not_let_us_read(run, monkeypatch):
    def refuse(path, *arguments, **options):
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    opened, name = Path.open, "responses.parquet"
    monkeypatch.setattr(Path, "open", refuse)
    refused(r"responses\.parquet: cannot be read \(Permission denied\)", read_manifest, run)
    name = "manifest.json"
    refused(r"manifest\.json: cannot be read \(Permission denied\)", read_manifest, run)


def test_names_that_no_system_takes(run):
    for name in ("a" * 5000, "a\0b"):
        part = {"path": "../../stages/adapter-1", "files": {name: SHA["weights"]}}
        content = CONTENT | {"parts": CONTENT["parts"] | {"adapter": part}}
        content["sha256"] = sha256(content)
        (run / "manifest.json").write_text(json.dumps(content))
        refused(r"cannot be read \(File name too long\)|not readable", read_manifest, run)
    for part in ("", "..", "a/b", "A", "run.1"):
        refused("is no name of a part", Manifest(run, {"parts": {part: {"path": ".", "files": {}}}}).files)


@pytest.mark.parametrize("written", [True, 2.0, float("inf"), "2", [2]])
def test_a_format_that_is_no_integer(run, written):
    (run / "manifest.json").write_text(json.dumps(CONTENT | {"format": written}))
    refused("not readable", read_manifest, run)


def test_an_export_to_a_full_disk_names_the_copy(run, tmp_path):
    (run.parents[1] / "stages/adapter-1/adapter_model.safetensors").write_bytes(b"x" * 10**5)
    entries = {"model": "LLMFashionRec", "seed": 7, "clip": ""}
    write_manifest(run, entries, {OWN: run, "adapter": run.parents[1] / "stages/adapter-1"}, run)
    with small_disk(tmp_path / "disk", kilobytes=64) as disk:
        refused(f"^--out: disk full at {disk}/out: free space", export_run, run, disk / "out")
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize(("umask", "folders", "plain"), [(0o022, 0o755, 0o644), (0o027, 0o750, 0o640)])
def test_modes_of_an_export_follow_the_umask(run, tmp_path, umask, folders, plain):
    (run.parents[1] / "stages/adapter-1/adapter_model.safetensors").chmod(0o600)
    before = os.umask(umask)
    try:
        export_run(run, tmp_path / "deep/out")
    finally:
        os.umask(before)
    paths = [tmp_path / "deep/out", *(tmp_path / "deep/out").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {folders}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {plain}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_run_of_another_user_is_read_or_is_one_line(run, capsys):
    """As a service of another user: 0600 weights, then weights that everyone can read."""
    weights = run.parents[1] / "stages/adapter-1/adapter_model.safetensors"
    weights.chmod(0o600)
    with TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        shutil.copytree(run.parents[1], Path(open_to_all) / "shoes")
        (Path(open_to_all) / "shoes").chmod(0o755)  # the copy of a folder that is its owner's only
        there = Path(open_to_all) / "shoes" / run.relative_to(run.parents[1])
        copied = Path(open_to_all) / "shoes" / weights.relative_to(run.parents[1])
        os.seteuid(54321)
        try:
            refused("adapter_model.safetensors: cannot be read \\(Permission denied\\)", read_manifest, there)
            assert guarded(lambda: len(read_manifest(run).files())) == 2  # its folder is closed
        finally:
            os.seteuid(0)
        copied.chmod(0o644)
        os.seteuid(54321)
        try:
            assert read_manifest(there).files()
        finally:
            os.seteuid(0)
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1 and "Permission denied" in line
