"""The drawn diagrams are those of the pages; tools/diagrams.py draws what is missing and deletes what is unused."""

import subprocess

import pytest

from tools import diagrams

CHART = "flowchart LR\n    accTitle: From a to b\n    a --> b"
FILE = "38b0a1fab7d2.svg"  # printf '%s' CHART | sha256sum | cut -c-12


@pytest.fixture
def site(tmp_path):
    """A page in docs/ with one diagram, and its file."""
    (tmp_path / "docs/_site/diagrams").mkdir(parents=True)
    (tmp_path / "README.md").write_text("# Toy\n\n```bash\nls\n```\n")
    (tmp_path / "docs/page.md").write_text(f"# Page\n\n```mermaid\n{CHART}\n```\n\n```text\nmermaid\n```\n")
    (tmp_path / "docs/_site/diagrams" / FILE).write_text("<svg/>\n")
    return tmp_path


@pytest.fixture
def drawn(monkeypatch):
    """The titles of the diagrams that are drawn, by a stand-in for mermaid-cli."""
    titles = []

    def render(diagram, target):
        titles.append(diagram.title)
        target.write_text("<svg>new</svg>\n")

    monkeypatch.setattr(diagrams, "render", render)
    return titles


def test_the_committed_files_are_those_of_the_pages(capsys):
    assert diagrams.main(["--check"]) == 0, capsys.readouterr().err
    assert {diagram.page for diagram in diagrams.diagrams(diagrams.ROOT)} >= {"README.md", "docs/architecture.md"}


def test_a_committed_file_is_small_and_needs_no_other_file():
    for path in (diagrams.ROOT / diagrams.FOLDER).iterdir():
        svg = path.read_text("utf-8")
        assert path.stat().st_size < 100_000 and svg.startswith("<svg ") and "<title" in svg
        for word in ("<script", "<image", "<foreignObject", "@import", "href=", "url(http"):
            assert word not in svg, (path.name, word)


def test_a_complete_site_is_accepted_and_left_alone(site, drawn, capsys):
    assert diagrams.main(["--check"], site) == 0 and capsys.readouterr().err == ""
    assert diagrams.main([], site) == 0
    assert drawn == [] and (site / "docs/_site/diagrams" / FILE).read_text() == "<svg/>\n"


def test_a_changed_diagram_is_refused_then_drawn_and_its_old_file_deleted(site, drawn, capsys):
    page = site / "docs/page.md"
    page.write_text(page.read_text().replace("a --> b", "b --> a"))
    assert diagrams.main(["--check"], site) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[0].startswith("docs/page.md: no docs/_site/diagrams/")
    assert lines[1:] == [f"docs/_site/diagrams/{FILE}: no diagram has this digest", "run python tools/diagrams.py"]
    assert diagrams.main([], site) == 0 and drawn == ["From a to b"]
    (path,) = (site / "docs/_site/diagrams").iterdir()
    assert path.name != FILE and path.read_text() == "<svg>new</svg>\n"
    assert diagrams.main(["--check"], site) == 0


def test_a_diagram_without_title_is_refused(site, capsys):
    page = site / "docs/page.md"
    page.write_text(page.read_text().replace("    accTitle: From a to b\n", ""))
    assert diagrams.main(["--check"], site) == 1
    assert "docs/page.md: a diagram has no line `accTitle: ..`; add one\n" in capsys.readouterr().err


@pytest.mark.parametrize("error", [FileNotFoundError("no npx"), subprocess.CalledProcessError(1, ["npx"])])
def test_what_cannot_be_drawn_is_one_line_and_deletes_nothing(site, monkeypatch, capsys, error):
    def render(diagram, target):
        raise error

    monkeypatch.setattr(diagrams, "render", render)
    with (site / "README.md").open("a") as page:
        page.write(f"\n```mermaid\n{CHART} --> c\n```\n")
    (site / "docs/_site/diagrams/unused.svg").touch()
    assert diagrams.main([], site) == 2
    assert capsys.readouterr().err == f"README.md: a diagram cannot be drawn: {error}\n"
    assert {path.name for path in (site / "docs/_site/diagrams").iterdir()} == {FILE, "unused.svg"}


def test_without_node_the_requirement_is_named(site, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="npx"):
        diagrams.render(diagrams.Diagram("README.md", CHART), tmp_path / "x.svg")
