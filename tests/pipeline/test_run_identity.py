"""The same command gives the same run anywhere, and no file of a run names a folder of the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.pipeline.manifest import read_manifest
from tests.helpers.fakes import INTER, SEARCH, SMALL, write_tiny

REPOSITORY = Path(__file__).parents[2]


def run_in(root: Path, hash_seed: int) -> Path:
    """The run folder of the command in an empty folder, by a process with another order of sets."""
    write_tiny(root / "data", INTER, SEARCH)
    keys = {**SMALL, "data_path": "data", "checkpoint_dir": "saved", "topk": [3], "valid_metric": "NDCG@3"}
    keys |= {"lora_target_modules": ["query_key_value", "dense", "dense_h_to_4h"], "quantization": "none"}
    script = "from recbole_llmfashion.cli.main import main; main()"
    command = [sys.executable, "-c", script, "run", "--model=LLMFashionRec", "--dataset=tiny", "--output=out"]
    command += [f"--{key}={value}" for key, value in keys.items()]
    paths = {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=root, env=os.environ | paths, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads((root / "out/results.json").read_text())["models"]
    return root / rows["LLMFashionRec"]["run"]


@pytest.mark.slow  # two processes that import everything
def test_the_same_command_gives_the_same_run_anywhere(tmp_path):
    roots = [tmp_path / "one", tmp_path / "another/deeper"]
    for root in roots:
        root.mkdir(parents=True)
    one, other = (run_in(root, seed) for seed, root in enumerate(roots, 1))
    assert one.name == other.name
    assert (one / "manifest.json").read_bytes() == (other / "manifest.json").read_bytes()
    stages = [sorted(path.name for path in (root / "saved/tiny/stages").glob("*-*")) for root in roots]
    assert stages[0] == stages[1]
    for stage in stages[0]:
        files = [root / "saved/tiny/stages" / stage for root in roots]
        unlike = [
            path.name
            for path in files[0].rglob("*")
            if path.is_file() and path.read_bytes() != (files[1] / path.relative_to(files[0])).read_bytes()
        ]
        assert set(unlike) <= {"stage.json", "timing.json"}, stage
    for root, run in zip(roots, (one, other), strict=True):
        export_run(run, root / "exported", 1)
        assert read_manifest(root / "exported").digest != read_manifest(run).digest  # it has no responses
    assert (roots[0] / "exported/manifest.json").read_bytes() == (roots[1] / "exported/manifest.json").read_bytes()


def test_no_file_names_a_folder_of_the_machine(tiny_run, tmp_path):
    run, out = tiny_run, tmp_path / "out"
    export_run(run, out, 1)
    root = run.parents[3]
    places = [str(root), str(tmp_path), str(REPOSITORY), SMALL["llm_name_or_path"], sys.prefix]
    files = [*(path for path in out.rglob("*") if path.is_file()), run / "manifest.json"]
    assert len(files) > 15
    for path in files:
        content = path.read_bytes()
        assert [place for place in places if place.encode() in content] == [], path
    assert json.loads((run / "local.json").read_text())["data_path"] == str(root)
    assert not (out / "local.json").exists()
