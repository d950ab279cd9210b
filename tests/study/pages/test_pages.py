"""The list of pages, their states, and what is made of them."""

import json
import shutil
from pathlib import Path

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start import engine
from recbole_llmfashion.study.compare import compare
from recbole_llmfashion.study.pages.claims import claims_page
from recbole_llmfashion.study.pages.leaderboard import leaderboard_rows
from recbole_llmfashion.study.pages.listed import Page, read_pages
from recbole_llmfashion.study.pages.publish import publish, rewrite_overviews, stale_row_files
from recbole_llmfashion.study.pages.state import page_state, stale_rows, words_of
from recbole_llmfashion.study.report.write import write
from recbole_llmfashion.study.runner import Runner
from tests.helpers.command_lines import study_request
from tests.helpers.scripts import load_script
from tests.helpers.study import request_for

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "docs/results"
MODELS = "--models=CORE,Popularity"
PAGE = Page("tiny-compare", "Table 2 on tiny", "compare", "tiny", ())
BEGIN, END = "<!-- pages: written by benchmarks/results.py -->", "<!-- end of pages -->"


def committed():
    found = {path.parent.name: json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*/results.json"))}
    return {name: results for name, results in found.items() if results.get("models")}


def test_no_committed_page_shows_rows_of_another_engine():
    states = {name: stale_rows(results) for name, results in committed().items()}
    assert states == {name: [] for name in states}


def test_no_committed_row_file_is_of_another_engine():
    assert stale_row_files(RESULTS / "rows") == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"row": {"model": "CORE"}}', '{"row": 3}'])
def test_a_file_that_is_no_row_is_one_line(tmp_path, text):
    (tmp_path / "row-1.json").write_text(text)
    with pytest.raises(UserError, match=r"row-1.json is not a row .*delete it"):
        stale_row_files(tmp_path)


def test_the_leaderboard_is_that_of_the_committed_pages():
    listed = {page.name for page in read_pages(ROOT / "benchmarks/results.yaml")}
    found = {name: results for name, results in committed().items() if name in listed}
    assert json.loads((RESULTS / "leaderboard.json").read_text("utf-8")) == leaderboard_rows(found)


def test_every_table_has_the_rows_that_a_reader_needs():
    pages = read_pages(ROOT / "benchmarks/results.yaml")
    assert {page.study for page in pages} == {
        "compare", "ablation", "curriculum", "cold-start", "zero-shot", "low-resource", "time-split", "reproduce",
    }  # fmt: skip
    for page in pages:
        request = study_request(page.study, page.words)
        rows = {*request.models, *request.options.get("beside", "").split(",")}
        paper = page.study == "curriculum" or request.options.get("form") == "paper"
        assert paper or "LLMFashionRec-paper" in rows, page.name
        assert "LLMFashionRec" in rows and (page.study == "zero-shot" or "Fusion" in rows), page.name
        if page.dataset in ("luggage_bags", "footwear"):
            # the shipped ablation has the row itself
            assert "LLMFashionRec-untrained" in rows or request.options.get("form") == "shipped", page.name
        if page.dataset == "luggage_bags" and page.study != "zero-shot":
            assert (request.overrides["epochs"], request.overrides["use_tuned"]) == (300, True)


@pytest.fixture
def page(shop, run_with):
    """A committed page of two rows; the second one's stage is found by no keys of its own."""
    run_with({"CORE": (1, 1, 4), "Popularity": (1, 2, 2)})
    request = request_for(shop, MODELS)
    folder = shop / "pages/tiny-compare"
    write(shop / "out", compare(request, Runner(request)))
    publish(shop / "out", folder, "abc1234")
    return folder


def listed(folder, **fields):
    """The page as its own command makes it."""
    words = words_of(json.loads((folder / "results.json").read_text())["command"])
    return Page(**vars(PAGE) | {"words": tuple(words)} | fields)


def test_a_page_of_today(shop, page):
    assert page_state(listed(page), page, shop) == "current"
    assert sorted(path.name for path in page.iterdir()) == ["metrics.png", "results.json", "table.md", "table.tex"]
    assert "- commit: abc1234\n" in (page / "table.md").read_text()
    assert page_state(PAGE, shop / "pages/other") == "missing"


def test_another_engine_makes_its_rows_stale(shop, page, monkeypatch):
    monkeypatch.setattr(engine, "ENGINES", engine.ENGINES | {"": 99})
    engine.engine_digest.cache_clear()
    try:
        assert page_state(listed(page), page) == "stale: 2 of 2 rows are of another engine, first CORE"
    finally:
        engine.engine_digest.cache_clear()


def test_other_keys_data_and_commands_are_stale(shop, page):
    assert page_state(listed(page, words=("--dataset=tiny",)), page) == "stale: the list has another command"
    (shop / "tiny/tiny.item").write_text((shop / "tiny/tiny.item").read_text().replace("Socks", "Sock"))
    assert page_state(listed(page), page, shop) == "stale: tiny is other data"
    assert page_state(listed(page), page) == "current"  # without the data, its digest in results.json counts
    results = json.loads((page / "results.json").read_text())
    results["models"]["CORE"][0]["row"]["keys"] = {"epochs": 3}
    assert stale_rows(results) == ["CORE"]
    results["settings"]["train_share"] = 0.5
    assert stale_rows(results) == ["CORE", "Popularity"]


def test_pages_without_digests_and_with_failed_rows(page):
    results = json.loads((page / "results.json").read_text())
    results["models"]["CORE"][0]["status"] = "failed: no room"
    (page / "results.json").write_text(json.dumps(results))
    assert page_state(listed(page), page) == "incomplete: CORE failed"
    del results["models"]["CORE"][0]["row"]
    (page / "results.json").write_text(json.dumps(results))
    assert page_state(listed(page), page) == "digest unknown"


def test_the_leaderboard_by_hand(page):
    results = json.loads((page / "results.json").read_text())
    first, second = leaderboard_rows({"tiny-compare": results})
    assert (first["page"], first["row"], first["model"], first["dataset"]) == ("tiny-compare", "CORE", "CORE", "tiny")
    assert first["data_sha256"] == results["data"]["tiny"]["sha256"] and first["commit"] == "abc1234"
    protocol = {"hit": "item", "ranked": "all items", "history": "not masked", "split": "user"}
    assert first["protocol"] == protocol
    assert first["metrics"]["mrr"] == pytest.approx(0.75) and first["minutes"] == 1.0 and first["seed"] == 2020
    assert first["stage"].startswith("row-") and second["row"] == "Popularity"
    (core,) = results["models"]["CORE"]
    core["row"]["keys"], core["mask_history"] = {"split_by": "time"}, True  # rows of one page may differ in both
    (first, second) = leaderboard_rows({"tiny-compare": results})
    assert first["protocol"] == protocol | {"split": "time", "history": "masked"}
    assert second["protocol"] == protocol
    results["models"]["CORE"][0] = {"seed": 2020, "status": "failed: no"}
    assert [entry["row"] for entry in leaderboard_rows({"a": results})] == ["Popularity"]


def claims(dataset, **cells):
    rows = [{"label": label, "cells": value} for label, value in cells.items()]
    return {"dataset": dataset, "study": "reproduce", "tables": [{"name": "claims", "rows": rows}], "models": {}}


def test_the_claims_of_two_datasets():
    held = {"verdict": "holds", "figures": "", "effect": 0.02, "low": 0.01, "high": 0.03, "p": 1e-5}
    open_ = {"verdict": "does not hold", "figures": "", "effect": -0.001, "low": -0.01, "high": 0.008, "p": 0.4}
    text = claims_page({
        "a-reproduce": claims("a", Best=held, Queries={"verdict": "cannot be tested", "figures": "no row"}),
        "b-reproduce": claims("b", Best=open_),
    })  # fmt: skip
    assert "| claim | [a](a-reproduce/table.md) | [b](b-reproduce/table.md) |" in text
    assert (
        "| Best | holds: +0.0200 (+0.0100 to +0.0300), p < 0.0001 "
        "| does not hold, not decided: -0.0010 (-0.0100 to +0.0080), p 0.4000 |\n| Queries | cannot be tested |  |"
    ) in text
    assert (
        "- a: 1 of 2 hold, 0 do not, 0 are not decided by the test users, 1 cannot be tested.\n"
        "- b: 0 of 1 hold, 0 do not, 1 are not decided by the test users, 0 cannot be tested."
    ) in text


def test_the_overviews(shop, page):
    root = page.parent
    (root / "README.md").write_text(f"# Results\n\n{BEGIN}\nold\n{END}\n\nmore\n")
    assert sorted(rewrite_overviews(root, [PAGE])) == ["README.md", "leaderboard.json"]
    assert (root / "README.md").read_text() == (
        f"# Results\n\n{BEGIN}\n| folder | contents |\n|---|---|\n"
        f"| `tiny-compare` ([table](tiny-compare/table.md)) | Table 2 on tiny |\n{END}\n\nmore\n"
    )
    assert rewrite_overviews(root, [PAGE]) == []
    (root / "README.md").write_text("# Results\n")
    with pytest.raises(UserError, match="put them around the list"):
        rewrite_overviews(root, [PAGE])


@pytest.fixture(scope="module")
def script():
    return load_script("results")


@pytest.fixture
def command(shop, script, run_with, monkeypatch, capsys):
    """benchmarks/results.py on a list of one page, whose study runs in this process; how often it ran."""
    run_with({"CORE": (1, 1, 4), "Popularity": (1, 2, 2)})
    (shop / "pages").mkdir()
    (shop / "pages/README.md").write_text(f"{BEGIN}\n{END}\n")
    about = {"about": "Table 2 on {dataset}", "study": "compare", "words": ["--models={rows}", "--topk=[3]"]}
    listed = {
        "every": ["--seeds=1", "--valid_metric=NDCG@3"], "models": {"rows": ["CORE", "Popularity"]},
        "datasets": {"tiny": {}}, "studies": {"compare": about},
    }  # fmt: skip
    (shop / "list.yaml").write_text(json.dumps(listed))
    ran = []

    def run_study(page, output, places, seconds):
        ran.append(page.name)
        request = study_request(page.study, [*page.words, *places])
        runner = Runner(request)
        write(output, compare(request, runner))
        return int(runner.failed)

    monkeypatch.setattr(script, "run_study", run_study)
    places = [f"--data_path={shop}", f"--checkpoint_dir={shop}/saved", f"--out={shop}/out"]

    def call(*words):
        status = script.main([f"--list={shop}/list.yaml", f"--pages={shop}/pages", *places, *words])
        return status, capsys.readouterr().out.splitlines(), len(ran)

    return call


def test_the_command_runs_what_is_missing_once(shop, command):
    assert command("--check") == (1, ["tiny-compare  missing", "0 of 1 pages are today's"], 0)
    status, lines, ran = command()
    assert (status, lines[-1], ran) == (0, "1 of 1 pages are today's", 1)
    assert json.loads((shop / "pages/leaderboard.json").read_text())[0]["row"] == "CORE"
    assert command() == (0, ["tiny-compare  current", "1 of 1 pages are today's"], 1)
    (shop / "pages/tiny-compare/results.json").unlink()
    assert command("--hours=0")[2] == 1
    assert command("--only=tiny-compare")[2] == 2
    assert command("--only=tiny-ablation")[0] == 2


def test_the_command_goes_on_with_the_rows_of_another_machine(shop, command, run_with, monkeypatch):
    rows, page = shop / "pages/rows", shop / "pages/tiny-compare"
    assert command()[0] == 0
    before = json.loads((page / "results.json").read_text())
    assert len(list(rows.iterdir())) == 2
    shutil.rmtree(shop / "saved")
    shutil.rmtree(page)
    run_with({})  # nothing can be run
    assert command()[0] == 0
    assert json.loads((page / "results.json").read_text())["models"] == before["models"]
    monkeypatch.setattr(engine, "ENGINES", engine.ENGINES | {"CORE": 99})
    engine.engine_digest.cache_clear()
    try:
        (stale,) = [
            name
            for name in map(str, sorted(path.name for path in rows.iterdir()))
            if "CORE" in (rows / name).read_text()
        ]
        assert f"removed: {stale} is of another engine" in command("--hours=0")[1]
        assert len(list(rows.iterdir())) == 1
    finally:
        engine.engine_digest.cache_clear()


def test_a_study_that_fails_leaves_its_page(shop, command, script, monkeypatch):
    monkeypatch.setattr(script, "run_study", lambda *_: 3)
    status, lines, _ = command()
    assert (status, lines[-1]) == (1, "0 of 1 pages are today's")
    assert "tiny-compare: the study ended with status 3; its page stays as it is" in lines
    assert not (shop / "pages/tiny-compare").exists()


def test_a_page_with_a_failed_row_is_published_and_incomplete(shop, command, run_with):
    run_with({"Popularity": (1, 2, 2)})
    assert command()[0] == 0
    status, lines, _ = command("--check")
    assert (status, lines[0]) == (1, "tiny-compare  incomplete: CORE failed")


def test_a_bug_of_a_study_does_not_publish_its_earlier_report(shop, command, script, monkeypatch):
    assert command()[0] == 0
    shutil.rmtree(shop / "pages/tiny-compare")
    monkeypatch.setattr(script, "run_study", lambda *_: 1)
    assert "tiny-compare: the study ended with status 1; its page stays as it is" in command()[1]
    assert not (shop / "pages/tiny-compare").exists()


def test_a_list_with_a_mistake(tmp_path):
    (tmp_path / "list.yaml").write_text("every: []\ndatasets: {a: {studies: [compare]}}\nstudies: {}\n")
    with pytest.raises(UserError, match="missing or misspelled"):
        read_pages(tmp_path / "list.yaml")
    one = "{name: a, about: b, study: compare, dataset: c, words: []}"
    (tmp_path / "list.yaml").write_text(f"every: []\ndatasets: {{}}\nstudies: {{}}\npairs: [{one}, {one}]\n")
    with pytest.raises(UserError, match="two pages are named a"):
        read_pages(tmp_path / "list.yaml")
