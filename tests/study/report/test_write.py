"""The folder of a document: content, atomic writes, stale figures."""

import json
from dataclasses import replace

import pytest

from recbole_llmfashion.study.report import tables, write
from recbole_llmfashion.study.report.document import Document, Figure, ReportTable, Series, TableRow
from tests.helpers.documents import METRICS, sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write.write(folder, sample())
    return folder


def test_files(folder):
    text = (folder / "results.json").read_text(encoding="utf-8")
    assert (
        Document.from_json(json.loads(text)).as_json() == json.loads(text) == json.loads(json.dumps(sample().as_json()))
    )
    read = Document.from_json(json.loads(text))
    assert read.tables == sample().tables and read.figures == sample().figures and read == sample()
    assert (folder / "table.md").read_text(encoding="utf-8") == tables.markdown(read)
    assert (folder / "table.tex").read_text(encoding="utf-8") == tables.latex(read)
    names = {path.name for path in folder.iterdir()}
    assert names == {"results.json", "table.md", "table.tex", "report.html"} | {f"{f.name}.png" for f in read.figures}


@pytest.fixture
def small(monkeypatch):
    """A document with one figure that is not actually drawn."""
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (1600).to_bytes(4) + (960).to_bytes(4)
    monkeypatch.setattr(write.figures, "png", lambda figure: head + figure.name.encode())
    figure = Figure("one", "c", "lines", "x", "y", [Series("a", [1], [0.5])])
    return replace(sample(), figures=[figure], models={})


def test_equal_documents_give_equal_files(small, tmp_path):
    write.write(tmp_path / "a", small)
    write.write(tmp_path / "b", small)
    names = [path.name for path in (tmp_path / "a").iterdir()]
    assert len(names) == 5 and all(
        (tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names
    )


def test_nan_changes_nothing(small, tmp_path):
    write.write(tmp_path, small)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    bad = replace(small, title="other", tables=[ReportTable("t", "t", METRICS, [TableRow("a", {"mrr": float("nan")})])])
    with pytest.raises(ValueError, match="JSON"):
        write.write(tmp_path, bad)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_the_files_are_one_change(small, tmp_path, monkeypatch):
    """Stopped between two files, all are the new ones; see tests/files/test_changes.py for kills."""
    write.write(tmp_path, small)
    write.write(tmp_path / "new", replace(small, title="other"))
    replaced = []

    def stopped_once(self, target):
        replaced.append(target.name)
        if len(replaced) == 3:
            raise KeyboardInterrupt
        self.rename(target)

    monkeypatch.setattr(write.Path, "replace", stopped_once)
    with pytest.raises(KeyboardInterrupt):
        write.write(tmp_path, replace(small, title="other"))
    monkeypatch.undo()
    assert len(set(replaced)) == 5 and replaced[-1] == "results.json"
    for path in (tmp_path / "new").iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_further_files(small, tmp_path):
    write.write(tmp_path, small, {"ranks.parquet": b"rows"})
    assert (tmp_path / "ranks.parquet").read_bytes() == b"rows"


def test_stale_figures_are_removed(small, tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    write.write(tmp_path, small)
    write.write(tmp_path, replace(small, figures=[replace(small.figures[0], name="two")]))
    assert {path.name for path in tmp_path.glob("*.png")} == {"mine.png", "two.png"}


@pytest.mark.parametrize("names", [["../one"], ["a/b"], [""], [".hidden"], ["one", "one"]])
def test_invalid_figure_names(small, tmp_path, names):
    bad = replace(small, figures=[replace(small.figures[0], name=name) for name in names])
    with pytest.raises(ValueError, match="expected a unique name"):
        write.write(tmp_path / "out", bad)
    assert not (tmp_path / "out").exists()
