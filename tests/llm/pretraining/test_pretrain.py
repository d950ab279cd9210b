"""The pre-training of tiny-falcon: its keys, the texts of the tokenizer, and the whole build at a small size."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from recbole_llmfashion.cli.main import run
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.seen import read_seen
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings
from recbole_llmfashion.llm.pretraining.pretrain import build, make_shops, typed_queries, vocabulary_texts
from recbole_llmfashion.llm.pretraining.settings import PretrainConfig
from tests.helpers.fakes import purchases_only, write_tiny

SHIPPED = Path(__file__).parents[3] / "properties/pretrain.yaml"
GIVEN = yaml.safe_load(SHIPPED.read_text().replace("2e-3", "0.002"))


def written(tmp_path: Path, **changed: Any) -> Path:
    """The file of the package with some keys changed; None removes a key."""
    keys = {key: value for key, value in {**GIVEN, **changed}.items() if value is not None}
    (tmp_path / "pretrain.yaml").write_text(yaml.safe_dump(keys))
    return tmp_path / "pretrain.yaml"


def test_config_of_the_package() -> None:
    config = PretrainConfig.read(SHIPPED)
    assert {field.name for field in fields(config)} == set(GIVEN)
    assert config.learning_rate == 0.002 and config.seed == 2020
    assert config.training == BackbonePretrainSettings(
        GIVEN["copy_steps"],
        GIVEN["listed_passes"],
        GIVEN["spelled_passes"],
        GIVEN["batch_size"],
        0.002,
        GIVEN["weight_decay"],
        seed=2020,
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"widht": 3}, "unknown key widht;"), ({"width": None, "seed": None}, "missing key seed, width;")],
)
def test_wrong_key(tmp_path: Path, changed: dict[str, Any], expected: str) -> None:
    file = written(tmp_path, **changed)
    with pytest.raises(UserError, match=expected) as error:
        PretrainConfig.read(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "width", "width: [1\n"])
def test_invalid_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=r"x\.yaml") as error:
        PretrainConfig.read(tmp_path / "x.yaml")
    assert "\n" not in str(error.value)


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pretrain-backbone", "--config", str(tmp_path / "none.yaml")]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: --config: ") and printed.err.count("\n") == 1
    assert "properties/pretrain.yaml" in printed.err


def test_typed_queries(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("id\tquery\tclass\n1\tred sofa\tx\n2\toutdoor  rug\ty\n3\n")
    (tmp_path / "a.json").write_text(json.dumps({"slim jeans": ["under 20", {"k": "tall"}], "n": 3, "empty": None}))
    (tmp_path / "c.csv").write_text("id\ttext\n1\tnothing\n")
    (tmp_path / "d.txt").write_text("nothing either")
    (tmp_path / "e.csv").write_text("")
    assert typed_queries(tmp_path) == [
        *("slim jeans", "under 20", "k", "tall", "n", "empty"),
        *("red sofa", "outdoor  rug"),
    ]
    assert typed_queries(tmp_path / "absent") == []


def test_vocabulary_texts() -> None:
    texts = list(vocabulary_texts([], ["red sofa"], seed=0))
    assert texts[0] == " red sofa"
    assert sum("\nsearched for:" in text for text in texts) == 2000
    assert sum("Predict the next purchase." in text and " product ID:, title:" in text for text in texts) == 2000
    assert {" | Jul", " | Dec, near Christmas"} <= set(texts)


def test_simulation_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed:
        returncode, stderr = 2, "error: no such shelf\n"

    commands: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda command, **_: commands.append(command) or Failed())
    keys = {"shops": str(tmp_path), "categories": ["toys"], "shops_per_category": 1, "users_per_shop": 3}
    config = PretrainConfig(**{**GIVEN, **keys})
    write_tiny(tmp_path, name="toys-1000")  # an existing shop is not simulated again
    with pytest.raises(UserError, match=r"toys-1001: the simulation of the shop failed \(error: no such shelf\)"):
        make_shops(config)
    assert len(commands) == 1 and commands[0][-8:] == [
        *("--category", "toys", "--seed", "1001", "--users", "3", "--out", str(tmp_path / "toys-1001"))
    ]
    write_tiny(tmp_path, name="toys-1001")
    assert make_shops(config) == [[tmp_path / "toys-1000", tmp_path / "toys-1001"]]
    with pytest.raises(UserError, match="toys-1000: expected users_per_shop 4, found 3 customers; remove the shop"):
        make_shops(PretrainConfig(**{**GIVEN, **keys, "users_per_shop": 4}))


def test_keys_of_real_datasets_may_be_left_out(tmp_path: Path) -> None:
    new = ("backbone", "real_datasets", "real_passes", "max_minutes")
    (tmp_path / "old.yaml").write_text(yaml.safe_dump({key: GIVEN[key] for key in GIVEN if key not in new}))
    assert PretrainConfig.read(tmp_path / "old.yaml") == PretrainConfig.read(SHIPPED)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"real_datasets": "a"}, "real_datasets: expected a list"),
        ({"real_passes": 0}, "real_passes: expected a number above 0"),
        ({"max_minutes": -1}, "max_minutes: expected"),
        ({"copy_steps": 0, "categories": []}, "nothing to train on"),
        ({"copy_steps": 0, "shops_per_category": 0}, "nothing to train on"),
    ],
)
def test_wrong_value(tmp_path: Path, changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        PretrainConfig.read(written(tmp_path, **changed))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"real_datasets": ["nowhere/at_all"]}, "nowhere/at_all"),
        ({"backbone": "tiny-falkon"}, "backbone: 'tiny-falkon' is not a folder"),
        ({"backbone": "."}, "has no config.json"),
    ],
)
def test_inputs_are_checked_before_a_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], expected: str
) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("simulated"))
    with pytest.raises(UserError, match=expected) as error:
        build(PretrainConfig(**{**GIVEN, **changed, "shops": str(tmp_path)}))
    assert "\n" not in str(error.value)


def test_continued_on_a_real_dataset_twice(tmp_path: Path) -> None:
    keys: dict[str, Any] = {
        "categories": [], "copy_steps": 0, "batch_size": 8, "backbone": "tiny-falcon",
        "real_datasets": [str(purchases_only(tmp_path, users=12, items=9, length=6, name="one"))],
    }  # fmt: skip
    first, second = tmp_path / "first", tmp_path / "second"
    build(PretrainConfig(**{**GIVEN, **keys, "output": str(first)}))
    assert [one.name for one in read_seen(str(first))] == ["one"] and read_seen(str(first))[0].actions == 12 * 4
    keys |= {"backbone": str(first), "real_datasets": [str(purchases_only(tmp_path, 12, 9, 6, seed=1, name="two"))]}
    build(PretrainConfig(**{**GIVEN, **keys, "output": str(second)}))
    seen = read_seen(str(second))
    assert [one.name for one in seen] == ["one", "two"]
    card = (second / "README.md").read_text()
    assert all(one.data_sha256 in card and one.training_sha256 in card for one in seen)
    shipped, one, two = (load_file(folder / "model.safetensors") for folder in (TINY_FALCON_FOLDER, first, second))
    assert one.keys() == two.keys() == shipped.keys()
    for before, after in ((shipped, one), (one, two)):
        assert any(not np.array_equal(before[name], after[name]) for name in after)
    assert (first / "tokenizer.json").read_bytes() == (second / "tokenizer.json").read_bytes()


@pytest.mark.slow
def test_build_at_a_small_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "typed").mkdir()
    (tmp_path / "typed/a.json").write_text('["red sofa"]')
    small = {
        "shops": str(tmp_path / "shops"), "query_texts": str(tmp_path / "typed"), "categories": ["footwear"],
        "shops_per_category": 1, "users_per_shop": 60, "vocab_size": 600, "width": 16, "layers": 1, "heads": 2,
        "copy_steps": 2, "listed_passes": 1.0, "spelled_passes": 0.5,
    }  # fmt: skip
    assert run(["pretrain-backbone", "--config", str(written(tmp_path, output=str(tmp_path / "a"), **small))]) == 0
    assert capsys.readouterr().out == f"written: {tmp_path / 'a'}\n"
    names = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {*names, "item_rows.json", "README.md"}
    text = (tmp_path / "a/README.md").read_text()
    assert "1 simulated shops of 60 customers (footwear; seeds from 1001)" in text and "| footwear-1000 |" in text
    backbone = load_backbone(str(tmp_path / "a"), "nf4", device="cpu")
    assert backbone.quantized_layers == 4 and len(backbone.tokenizer) == 600
    ids = torch.tensor([backbone.tokenizer(" red sofa")["input_ids"]])
    assert bool(backbone.model(ids).logits.isfinite().all())
    # again, from the same shops: the same weights
    build(PretrainConfig.read(written(tmp_path, output=str(tmp_path / "b"), **small)))
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in "ab")
    assert all(np.array_equal(one[name], two[name]) for name in one)
