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


def test_killed_while_writing(small, tmp_path, monkeypatch):
    write.write(tmp_path, small)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replaced = []

    def killed(self, target):
        if len(replaced) == 2:
            raise KeyboardInterrupt
        replaced.append(target.name)
        self.rename(target)

    monkeypatch.setattr(write.Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write.write(tmp_path, replace(small, title="other"))
    monkeypatch.undo()
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert replaced == ["results.json", "table.md"] and after.keys() == before.keys()
    assert {name for name in before if after[name] != before[name]} == set(replaced)
    write.write(tmp_path, replace(small, title="other"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


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
