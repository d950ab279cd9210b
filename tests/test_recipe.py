"""benchmarks/recipe.py: the table by hand, and one setting trained at a small size."""

import json

import pytest

from tests.helpers.fakes import purchases_only
from tests.helpers.scripts import load_script


@pytest.fixture(scope="module")
def recipe():
    return load_script("recipe")


def test_the_table_by_hand(recipe, tmp_path):
    """The best epoch is the first of equal ones; a dataset that a setting lacks is empty."""
    rows = {
        "default": {"a": {"scores": [0.1, 0.3, 0.3], "seconds": 12}, "b": {"scores": [0.2], "seconds": 3}},
        "no_dropout": {"b": {"scores": [0.05, 0.1], "seconds": 4}},
    }
    assert recipe.table(rows, ["a", "b"]).splitlines()[2:] == [
        "| default | 0.3000 | 2 of 3 | 12 | 0.2000 | 1 of 1 | 3 |  |",
        "| no_dropout | | | | 0.1000 | 2 of 2 | 4 | llm_dropout: ~ |",
    ]
    for setting, results in rows.items():
        for name, result in results.items():
            (tmp_path / f"{name}-{setting}.json").write_text(json.dumps(result))
            (tmp_path / f"{name}-{setting}-50.json").write_text(json.dumps(result | {"seconds": 1}))
    assert recipe.read(tmp_path, None) == rows
    assert recipe.read(tmp_path, 50)["no_dropout"]["b"]["seconds"] == 1


def test_every_setting_is_of_known_keys(recipe):
    from recbole_llmfashion.quick_start import load_config

    for keys in recipe.SETTINGS.values():
        config = load_config("LLMFashionRec", "footwear", (), dict(keys))
        assert all(config[name] == value for name, value in keys.items())


@pytest.mark.slow
def test_a_setting_is_trained_once(recipe, tmp_path, capsys):
    purchases_only(tmp_path, users=12, items=40, length=10)
    command = [str(tmp_path), "--datasets", "bought", "--settings", "neighbors", "--out", str(tmp_path / "out")]
    recipe.main(command)
    first = (tmp_path / "out/bought-neighbors.json").read_text()
    assert len(json.loads(first)["scores"]) == 5 and capsys.readouterr().out.endswith("rows 1\n")
    (tmp_path / "bought/bought.inter").unlink()
    recipe.main(command)  # read again
    assert (tmp_path / "out/bought-neighbors.json").read_text() == first
    assert "| neighbors |" in (tmp_path / "out/table.md").read_text()
