"""What is committed under docs/results is what results.json beside it gives."""

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from recbole_llmfashion.study.report import cells, tables
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.study.report.write import write
from tests.helpers.documents import sample

RESULTS = Path(__file__).parents[2] / "docs/results"


def studies() -> list[Path]:
    """Folders of docs/results whose results.json is a study's."""
    found = sorted(RESULTS.glob("*/results.json"))
    return [path.parent for path in found if "study" in json.loads(path.read_text(encoding="utf-8"))]


FOLDERS = studies() or [pytest.param(None, marks=pytest.mark.skip(reason="docs/results holds no study"))]


def check(folder: Path) -> None:
    document = Document.from_json(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    assert (folder / "table.md").read_text(encoding="utf-8") == tables.markdown(document)
    assert (folder / "table.tex").read_text(encoding="utf-8") == tables.latex(document)
    for figure in document.figures:
        assert (folder / f"{figure.name}.png").read_bytes().startswith(b"\x89PNG")
    page = unescape((folder / "report.html").read_text(encoding="utf-8"))
    for table in document.tables:
        for line in cells.lines(table):
            for text in (line.label, line.reason, *(cell.text for cell in line.cells)):
                assert f">{text}<" in page, (table.name, line.label, text)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name if folder else "none")
def test_committed_files_say_what_results_json_says(folder):
    check(folder)


def test_the_readme_shows_a_committed_table_and_figure():
    readme = (RESULTS.parents[1] / "README.md").read_text(encoding="utf-8")
    committed = (RESULTS / "amazon_office-compare/table.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in committed[: committed.index("## LLMFashionRec against the best other row")] if "|" in line]
    assert len(rows) == 13 and "\n".join(rows) in readme
    [figure] = re.findall(r"!\[[^]]+\]\((docs/results/[^)]+)\)", readme)
    assert (RESULTS.parents[1] / figure).is_file()


@pytest.mark.parametrize("name", ["table.md", "table.tex", "report.html"])
def test_a_number_changed_by_hand_is_found(tmp_path, name):
    write(tmp_path, replace(sample(), figures=[], models={}))
    check(tmp_path)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert "0.1312" in text and "43.2" in text
    (tmp_path / name).write_text(text.replace("43.2", "43.3"), encoding="utf-8")
    with pytest.raises(AssertionError):
        check(tmp_path)
