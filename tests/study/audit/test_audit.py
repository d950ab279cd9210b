"""The command on a small run: planted, trained, audited; and what is left of it without the data."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.cli.main import run as command
from recbole_llmfashion.cli.train import main as train
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
from tests.helpers.fakes import simulated_shop
from tests.helpers.jobs import KEYS

PLANT = ["--counts", "1,2", "--canaries_per_count", "2", "--candidates", "6", "--left_out", "4", "--seed", "5"]
SMALL = ["--users", "4", "--texts", "6", "--samples", "2"]


def document(folder: Path) -> Document:
    return Document.from_json(json.loads((folder / "results.json").read_text()))


def rows(folder: Path, table: str) -> dict:
    (found,) = [one for one in document(folder).tables if one.name == table]
    return {row.label: row.reason or row.cells for row in found.rows}


@pytest.mark.slow
def test_from_the_plant_to_the_page(tmp_path, capsys):
    shop = simulated_shop(tmp_path / "shop")
    data = tmp_path / "data/shoes"
    assert not command(["audit", "--plant", str(shop / "shoes"), "--out", str(data), *PLANT])
    assert "4 canaries of 6 customers, 6 candidates" in capsys.readouterr().out
    assert command(["audit", "--plant", str(shop / "shoes"), "--out", str(data)]) == 2  # nothing is overwritten
    places = {"data_path": data.parent, "checkpoint_dir": tmp_path / "saved", **KEYS, "item_tokens": "text"}
    keys = [f"--{name}={value}" for name, value in places.items()]
    assert not train(["--model=LLMFashionRec", "--dataset=shoes", f"--output={tmp_path / 'out'}", *keys])
    models = json.loads((tmp_path / "out/results.json").read_text())["models"]
    run, out = Path(models["LLMFashionRec"]["run"]), tmp_path / "audit"
    assert not command(["audit", "--run", str(run), "--output", str(out), *SMALL])

    # a query that one customer typed is in the memory as it is, and not with two; nobody's is in no file
    held = rows(out, "held")
    assert held["1"]["queries"] == held["2"]["queries"] == 2 and held["none"]["queries"] == 0
    lists = rows(out, "lists")
    alone, nobody = (float(lists["min_askers 1, the exact query"][key]) for key in ("of_1", "of_0"))
    assert alone == pytest.approx(2.81) and nobody < alone  # log2 7, the first of 7
    files = rows(out, "files")
    memory = pd.read_parquet(run / "memory.parquet").drop_duplicates("query")
    assert files["queries, min_askers 2"]["number"] == (memory["askers"] >= 2).sum()
    assert files["queries of one customer alone"]["number"] == (memory["askers"] == 1).sum()
    assert files["files with ids of customers"]["number"] == 0 and files["queries, min_askers 1"]["share"] == 1.0
    exposures = rows(out, "exposure")
    assert set(exposures) == {f"{kind}, {mode}" for kind in ("id", "title", "query") for mode in MODES}
    assert "no run writes queries" in exposures["query, constrained"]
    assert set(rows(out, "membership")) == {
        "loss of the LLM",
        *(f"rank in the list, min_askers {n}" for n in (1, 2, 5)),
    }
    assert rows(out, "extraction")["titles"]["asked"] == 6
    page = (out / "report.html").read_text()
    assert "whoever types the query of one customer finds the product" in page and (out / "exposure.png").is_file()

    exported, bare = tmp_path / "exported", tmp_path / "bare"
    export_run(run, exported)
    assert not command(["audit", "--run", str(exported), "--output", str(bare), *SMALL])
    missing = rows(bare, "missing")
    assert "canaries.json" in missing["canaries"] and "--dataset" in missing["membership"]
    assert [one.name for one in document(bare).tables] == ["files", "missing"]
    listed = ["--canaries", str(data / "canaries.json")]  # without the data, but with the list
    assert not command(["audit", "--run", str(exported), "--output", str(bare), *listed, *SMALL])
    assert rows(bare, "held")["1"]["queries"] == 0 and "canaries" not in rows(bare, "missing")

    shutil.copytree(data, tmp_path / "other/shoes")
    with (tmp_path / "other/shoes/shoes.item").open("a") as file:
        file.write(next(iter((data / "shoes.item").open().readlines()[1:])).replace("\t", "9\t", 1))
    capsys.readouterr()
    assert command(["audit", "--run", str(run), "--dataset", str(tmp_path / "other/shoes")]) == 2
    assert "has other rows than the data" in capsys.readouterr().err
    assert command(["audit", "--run", str(run), "--held_out", str(data)]) == 2
    assert "is in the training data too" in capsys.readouterr().err


MODES = ("constrained", "sampled", "text")


@pytest.mark.slow
def test_purchases_alone(tmp_path, monkeypatch):
    """Without searches the canaries are pairs of products, and the session shows the first of both.

    The lists have equal weights: few validation rows could give the neighbors' list, which tells the pairs, any weight.
    """
    monkeypatch.setattr(LLMFashionRecTrainer, "_choose_weights", lambda *_: None)
    shop = simulated_shop(tmp_path / "shop") / "shoes"
    (shop / "shoes.search").unlink()
    data = tmp_path / "data/shoes"
    assert not command(["audit", "--plant", str(shop), "--out", str(data), *PLANT])
    places = {"data_path": data.parent, "checkpoint_dir": tmp_path / "saved", **KEYS}
    keys = [f"--{name}={value}" for name, value in places.items()]
    assert not train(["--model=LLMFashionRec", "--dataset=shoes", f"--output={tmp_path / 'out'}", *keys])
    models = json.loads((tmp_path / "out/results.json").read_text())["models"]
    out = tmp_path / "audit"
    assert not command(["audit", "--run", models["LLMFashionRec"]["run"], "--output", str(out), *SMALL])
    lists, exposures = rows(out, "lists"), rows(out, "exposure")
    assert set(lists) == {f"min_askers {level}, the product before it" for level in (1, 2, 5)}
    served = lists["min_askers 1, the product before it"]
    assert float(served["of_2"]) == pytest.approx(2.81) and float(served["of_0"]) < 2.34  # log2 7; the bound of chance
    assert all("no searches" in exposures[f"query, {mode}"] for mode in MODES)
    assert set(exposures["id, constrained"]) == {"of_0", "of_1", "of_2"}
    assert [one.name for one in document(out).tables if one.name == "held"] == []
    assert "after the product before it" in (out / "report.html").read_text()


def test_a_run_without_canaries(tiny_run, tmp_path):
    """The data is where the run was trained; nothing was planted and nobody left out."""
    assert not command(["audit", "--run", str(tiny_run), "--output", str(tmp_path), *SMALL])
    assert set(rows(tmp_path, "missing")) >= {"canaries", "membership"}
    assert rows(tmp_path, "files")["files with ids of customers"]["number"] == 0
    assert not (tmp_path / "exposure.png").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "give --run DIR, or --plant DIR"),
        (["--run", "a", "--plant", "b"], "and not both"),
        (["--plant", "a"], "needs --out"),
        (["--plant", "a", "--out", "b", "--samples", "3"], "--samples: does nothing with --plant"),
        (["--run", "a", "--left_out", "3"], "--left_out: does nothing with --run"),
        (["--run", "a", "--config_files", "b.yaml"], "--config_files: does nothing with --run"),
        (["--plant", "a", "--out", "b", "--counts", "1,x"], "--counts: expected numbers"),
        (["--run", "a", "--epochs=3"], "--epochs"),
        (["--run", "gone"], "gone"),
    ],
)
def test_words_that_do_not_fit(words, named, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(["audit", *words]) == 2
    error = capsys.readouterr().err
    assert named in error and error.count("\n") == 1
