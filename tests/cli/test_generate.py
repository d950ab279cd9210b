"""The keys by which `generate` reads the rows of a run, of this release and of the first one."""

from pathlib import Path

import pytest

from recbole_llmfashion.cli.generate import rows_config
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.manifest import Manifest
from recbole_llmfashion.serving.batch.request import GenerateRequest


def request(*files, dataset=None, **keys):
    return GenerateRequest(
        run=Path("run"),
        split="test",
        workers=0,
        out=None,
        address=None,
        cpus=1,
        gpus=None,
        shard_size=8,
        dataset=dataset,
        config_files=tuple(map(str, files)),
        overrides=keys,
    )


def manifest(**keys):
    return Manifest(Path("run"), {"dataset": "shoes", "keys": keys})


FIRST = {"title_epochs": 2, "title_margin": 0.3, "clip_width": 32, "template": "paper", "title_source": "lookup"}
TODAY = {
    "title_model": {"epochs": 2, "margin": 0.3},
    "clip": {"width": 32},
    "prompt_template": "paper",
    "response_title": "catalogue",
}


@pytest.mark.parametrize("keys", [FIRST, TODAY], ids=["first release", "today"])
def test_a_runs_own_keys_are_below_those_of_the_command(tmp_path, keys):
    file = tmp_path / "more.yaml"
    file.write_text("title_model.margin: 0.4\nsplit_by: time\n")
    config = rows_config(manifest(**keys), request(file, **{"title_model": {"hidden": 16}, "split_by": "user"}))
    assert config["title_model"] == {
        "width": 64, "hidden": 16, "epochs": 2, "batch_size": 128, "learning_rate": 1e-3, "margin": 0.4
    }  # fmt: skip
    assert [config[key] for key in ("clip.width", "clip.epochs")] == [32, 3]
    found = [config[key] for key in ("prompt_template", "response_title", "split_by", "dataset")]
    assert found == ["paper", "catalogue", "user", "shoes"]


def test_the_dataset_of_the_command_wins_and_old_names_are_for_runs_only():
    assert rows_config(manifest(**FIRST), request(dataset="bags"))["dataset"] == "bags"
    with pytest.raises(UserError, match=r"`title_epochs` is now `title_model: \{epochs: \.\.\}`"):
        rows_config(manifest(**FIRST), request(title_epochs=3))
