"""The files under docs/results equal those generated from results.json in the same folder."""

import json
import re
import subprocess
from collections.abc import Collection
from dataclasses import replace
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from recbole_llmfashion.evaluation.row_files import follow_from_ranks
from recbole_llmfashion.study.report import cells, tables
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.study.report.write import write
from tests.helpers.documents import sample

RESULTS = Path(__file__).parents[2] / "docs/results"
LARGEST = 100_000  # bytes of a committed picture


def studies() -> list[Path]:
    """Folders of docs/results with the results.json of a study."""
    found = sorted(RESULTS.glob("*/results.json"))
    return [path.parent for path in found if "study" in json.loads(path.read_text(encoding="utf-8"))]


FOLDERS = studies() or [pytest.param(None, marks=pytest.mark.skip(reason="docs/results holds no study"))]


def check(folder: Path) -> None:
    document = Document.from_json(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    assert (folder / "table.md").read_text(encoding="utf-8") == tables.markdown(document)
    assert (folder / "table.tex").read_text(encoding="utf-8") == tables.latex(document)
    for figure in document.figures:
        assert (folder / f"{figure.name}.png").read_bytes().startswith(b"\x89PNG")
    if not (folder / "report.html").exists():  # a run's output, which git does not keep
        return
    page = unescape((folder / "report.html").read_text(encoding="utf-8"))
    for table in document.tables:
        for line in cells.lines(table):
            for text in (line.label, line.reason, *(cell.text for cell in line.cells)):
                assert f">{text}<" in page, (table.name, line.label, text)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name if folder else "none")
def test_committed_files(folder):
    check(folder)


def test_metrics_of_committed_rows_follow_from_their_ranks():
    paths = sorted((RESULTS / "rows").glob("*.json"))
    assert len(paths) > 100
    for path in paths:
        content = json.loads(path.read_text(encoding="utf-8"))
        ranks = pd.DataFrame({"rank": [int(rank) for rank in content["ranks"].split()]})
        assert follow_from_ranks(content["result"]["metrics"], ranks, 6), path.name


def numbers(page: str, models: Collection[str]) -> dict[str, list[str]]:
    """The cells of the first table of a page by model, without marks of best and second."""
    lines = [
        re.sub(r"\*\*|</?u>", "", line).strip("| ").split("|") for line in page.splitlines() if line.startswith("|")
    ]
    found: dict[str, list[str]] = {}
    for label, *values in ([cell.strip() for cell in line] for line in lines):
        if label in models:
            found.setdefault(label, values)
    return found


@pytest.mark.parametrize(
    ("folder", "column"),
    [("amazon_beauty-field", 0), ("amazon_office-compare", 2), ("hm_week-compare", 4), ("online_retail-compare", 6)],
)
def test_readme_figures(folder, column):
    models = (
        "LLMFashionRec",
        "Fusion: its lists without the LLM",
        "SASRecSampled",
        "SASRec",
        "CORE",
        "GRU4Rec",
        "SeqKNN",
        "QueryMemory",
        "Popularity",
    )
    shown = numbers((RESULTS.parents[1] / "README.md").read_text("utf-8").partition("## Results")[2], models)
    page = (RESULTS / folder / "table.md").read_text(encoding="utf-8").replace("| Fusion |", f"| {models[1]} |")
    committed = numbers(page, models)
    assert set(shown) == set(models)
    for model, values in shown.items():
        assert values[column : column + 2] == committed.get(model, ["", ""])[:2], model


def test_git_keeps_no_report_and_no_large_picture():
    """A self-contained report is a run's output; pictures of the site are palette PNGs or SVGs below 100 kB."""
    docs = RESULTS.parent
    ignored = (docs.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/docs/results/*/report.html", "/docs/results/*/ranks.parquet"} <= set(ignored)
    kept = tracked(docs)
    assert [path for path in kept if path.name in ("report.html", "ranks.parquet")] == []
    pictures = [path for path in kept if path.suffix in (".png", ".svg")]
    assert len(pictures) > 10
    assert {path.name: size for path in pictures if (size := path.stat().st_size) > LARGEST} == {}
    for path in pictures:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.mode == "P", path


def tracked(folder: Path) -> list[Path]:
    """The files below a folder that git keeps."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    return [path for name in listed.stdout.split("\0") if name and (path := folder / name).is_file()]


@pytest.mark.parametrize("name", ["table.md", "table.tex", "report.html"])
def test_changed_number_is_detected(tmp_path, name):
    write(tmp_path, replace(sample(), figures=[], models={}))
    check(tmp_path)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert "0.1312" in text and "43.2" in text
    (tmp_path / name).write_text(text.replace("43.2", "43.3"), encoding="utf-8")
    with pytest.raises(AssertionError):
        check(tmp_path)
