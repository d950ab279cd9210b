import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from recbole_llmfashion.study.report import cells, figures, sections, tables, write
from recbole_llmfashion.study.report import html as report
from recbole_llmfashion.study.report.document import Document, Figure, ReportTable, Series, TableRow
from tests.helpers.documents import FAILED, GENERATION, HOSTILE, METRICS, MODELS, sample

VOID = {"meta", "link", "img"}


class Page(HTMLParser):
    """Tags in order, text by the tag that holds it, and whether every tag was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self, *tags):
        return [data for tag, data in self.texts if tag in tags]

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write.write(folder, sample())
    return folder


@pytest.fixture(scope="module")
def html(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_results_json_is_the_document(folder):
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
    """A document with one figure, whose drawing costs no time."""
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


def test_nan_is_no_json_and_leaves_what_was_there(small, tmp_path):
    write.write(tmp_path, small)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    bad = replace(small, title="other", tables=[ReportTable("t", "t", METRICS, [TableRow("a", {"mrr": float("nan")})])])
    with pytest.raises(ValueError, match="JSON"):
        write.write(tmp_path, bad)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_kill_leaves_whole_files(small, tmp_path, monkeypatch):
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


def test_a_figure_of_an_earlier_document_goes_and_nothing_else(small, tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    write.write(tmp_path, small)
    write.write(tmp_path, replace(small, figures=[replace(small.figures[0], name="two")]))
    assert {path.name for path in tmp_path.glob("*.png")} == {"mine.png", "two.png"}


@pytest.mark.parametrize("names", [["../one"], ["a/b"], [""], [".hidden"], ["one", "one"]])
def test_a_figure_has_a_plain_name_of_its_own(small, tmp_path, names):
    bad = replace(small, figures=[replace(small.figures[0], name=name) for name in names])
    with pytest.raises(ValueError, match="a name of its own"):
        write.write(tmp_path / "out", bad)
    assert not (tmp_path / "out").exists()


def test_the_page_asks_for_nothing_else(page, html):
    assert not page.named("script") and not page.named("iframe") and not page.named("base")
    links = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    style = "".join(page.text("style"))
    assert "url(" not in style and "@import" not in style and "http" not in style
    assert "default-src 'none'" in next(m["content"] for m in page.named("meta") if "http-equiv" in m)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_hostile_text_is_text(page, html):
    assert page.open == [] and not page.named("tr")[0].get("x")
    assert HOSTILE not in html and "<script" not in html and "<b>" not in html.replace("<b>compare</b>", "")
    shown = "\n".join(page.text("li", "td", "th", "figcaption"))
    assert shown.count(HOSTILE) >= 4


def test_structure_for_all_readers(page):
    assert len(page.named("h1")) == 1 and page.named("html") == [{"lang": "en"}] and len(page.named("main")) == 1
    assert len(page.named("caption")) == len(page.named("table")) > 6
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.named("th"))
    assert all(attrs["alt"] and attrs["width"] == "800" for attrs in page.named("img")) and len(page.named("img")) == 3
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    refs = [a["href"][1:] for a in page.named("a")] + [
        a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a
    ]
    assert set(refs) <= set(ids)
    boxes = [attrs for attrs in page.named("div") if attrs["class"].startswith("scroll")]
    assert len(boxes) == len(page.named("table")) + 3 and all(box["tabindex"] == "0" for box in boxes)
    style = "".join(page.text("style"))
    for needed in (
        "prefers-color-scheme: dark",
        ":focus-visible",
        "@media print",
        "position: sticky",
        "overflow-x: auto",
    ):
        assert needed in style


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_contrast_in_every_scheme(page):
    schemes = re.findall(r":root \{([^}]*)\}", "".join(page.text("style")))
    assert len(schemes) == 3  # light, dark, print
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for ground in ("back", "soft"):
            for text in ("text", "quiet", "accent"):
                high, low = sorted((luminance(colours[ground]), luminance(colours[text])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground, scheme)


def test_every_number_of_the_tables(page):
    shown = page.text("td", "strong", "u", "th", "span")
    for table in sample().tables:
        for line in cells.lines(table):
            assert line.label in shown
            assert all(cell.text in shown for cell in line.cells if cell.text) and (line.reason or shown[0]) in shown
    assert page.text("strong") == [f"0.{v}12 ± 0.00{s}" for v, s in (("14", 12), ("16", 13), ("18", 14), ("20", 15))]
    assert "0.1312 ± 0.0012" in page.text("u")


def test_what_made_it(page, html):
    text = "\n".join(data for _, data in page.texts)
    for said in (
        sample().command,
        "0123456789abcdef" * 4,
        "2026, 2027",
        "2.15.0+cu130",
        "lora r",
        "Rows without numbers",
    ):
        assert said in text
    assert FAILED in text and "does not apply: this log has no queries" in text


def by_key(table: ReportTable, row: int) -> dict:
    return {column.title: table.rows[row].cells.get(column.key) for column in table.columns}


def test_generated_answers():
    validity, measured, lists, mixup = sections.answers(sample())
    assert [row.label for row in validity.rows] == ["LLMFashionRec, seed 2026", "LLMFashionRec, seed 2027"]
    first = by_key(validity, 0)
    assert first["well-formed"] == 0.998 and first["IDs in the prompt"] == 0.4125 and first["any fallback"] == 0.002
    assert first["prompts truncated"] == 1204 and first["quantized layers"] == 16
    assert first["CLIP"] == "trained on the log" and first["title pairs"] == "queries"
    told = {column.key for table in (validity, measured) for column in table.columns}
    assert {key for key in GENERATION if key != "perplexity"} < told and "perplexity after_hard" in told
    assert by_key(lists, 1) == {"ID list": 0.1456, "title list": 0.1301}
    assert by_key(mixup, 0) == {"m = 1": 0.159, "m = 2": 0.158, "m = 3": 0.157}


def test_time_and_memory_by_stage():
    (table,) = sections.time(sample())
    titles = [column.title for column in table.columns]
    assert titles[0] == "train" and titles[-2:] == ["this run", "peak MB"]
    rows = {row.label: by_key(table, i) for i, row in enumerate(table.rows)}
    assert rows["GRU4Rec, seed 2026"]["train"] == "61.2" and rows["SASRec, seed 2026"]["train"] == "62.2 †"
    ours = rows["LLMFashionRec, seed 2027"]
    assert (ours["train"], ours["title"], ours["adapter"]) == ("88.1 †", "31.5 †", "640")
    assert ours["this run"] == "1,800" and ours["peak MB"] == "1,217"
    assert "BERT4Rec, seed 2027" not in rows


def test_rows_without_numbers_once_each():
    (table,) = sections.absent(sample())
    assert [(row.label, row.cells["reason"], row.cells["where"]) for row in table.rows] == [
        ("BERT4Rec", FAILED, "Test metrics"),
        ("Recformer w/ query", "does not apply: this log has no queries", "Test metrics"),
    ]
    other = replace(sample(), tables=[])
    assert [row.cells["where"] for row in sections.absent(other)[0].rows] == ["seed 2027"]


def test_the_numbers_of_a_figure():
    figure = sample().figures[1]
    table = sections.numbers(figure)
    assert [row.label for row in table.rows] == ["GRU4Rec", "SASRec", "BERT4Rec", "LLMFashionRec"]
    assert table.rows[0].cells["1"] == "0.0100 (0.0060 to 0.0140)" and table.rows[1].cells["5"] == ""
    across = sections.numbers(sample().figures[0])
    assert [column.title for column in across.columns] == ["Recall@10", "NDCG@10"] and across.rows[0].label == MODELS[0]


def test_a_document_of_nothing_but_a_name():
    bare = Document("s", "t", "d", {}, [1], "c", {})
    page = Page(report.page(bare, {}))
    assert page.open == [] and page.text("h2") == ["How it was made"] and not page.named("table")
    assert "1 seed." in "".join(page.text("p"))
    assert tables.markdown(bare) == "# t\n\n## Notes\n\n- seeds: 1\n- command: `c`\n"


def test_alternative_text_says_what_is_shown(page):
    alt = page.named("img")[1]["alt"]
    assert alt.startswith("Line chart of NDCG@10 over training users, %: GRU4Rec 0.01 to 0.03981; SASRec 0.02 to ")
    assert int(page.named("img")[1]["width"]) == figures.WIDTH * figures.DPI / 2
