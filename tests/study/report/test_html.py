"""report.html: structure, accessibility, escaping, numbers."""

import re
from html.parser import HTMLParser

import pytest

from recbole_llmfashion.study.report import cells, figures, tables, write
from recbole_llmfashion.study.report import html as report
from recbole_llmfashion.study.report.document import Document
from tests.helpers.documents import FAILED, HOSTILE, sample

VOID = {"meta", "link", "img"}


class Page(HTMLParser):
    """Parses a page: tags in order, texts with their enclosing tag; checks that tags are closed."""

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


def test_no_external_resources(page, html):
    assert not page.named("script") and not page.named("iframe") and not page.named("base")
    links = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    style = "".join(page.text("style"))
    assert "url(" not in style and "@import" not in style and "http" not in style
    assert "default-src 'none'" in next(m["content"] for m in page.named("meta") if "http-equiv" in m)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_texts_are_escaped(page, html):
    assert page.open == [] and not page.named("tr")[0].get("x")
    assert HOSTILE not in html and "<script" not in html and "<b>" not in html.replace("<b>compare</b>", "")
    shown = "\n".join(page.text("li", "td", "th", "figcaption"))
    assert shown.count(HOSTILE) >= 4


def test_structure_and_accessibility(page):
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


def test_contrast_of_colour_schemes(page):
    schemes = re.findall(r":root \{([^}]*)\}", "".join(page.text("style")))
    assert len(schemes) == 3  # light, dark, print
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for ground in ("back", "soft"):
            for text in ("text", "quiet", "accent"):
                high, low = sorted((luminance(colours[ground]), luminance(colours[text])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground, scheme)


def test_all_cells(page):
    shown = page.text("td", "strong", "u", "th", "span")
    for table in sample().tables:
        for line in cells.lines(table):
            assert line.label in shown
            assert all(cell.text in shown for cell in line.cells if cell.text) and (line.reason or shown[0]) in shown
    assert page.text("strong") == [f"0.{v}12 ± 0.00{s}" for v, s in (("14", 12), ("16", 13), ("18", 14), ("20", 15))]
    assert "0.1312 ± 0.0012" in page.text("u")


def test_provenance(page, html):
    text = "\n".join(data for _, data in page.texts)
    for expected in (
        sample().command,
        "0123456789abcdef" * 4,
        "2026, 2027",
        "2.15.0+cu130",
        "lora r",
        "Rows without numbers",
    ):
        assert expected in text
    assert FAILED in text and "does not apply: this log has no queries" in text


def test_empty_document():
    bare = Document("s", "t", "d", {}, [1], "c", {})
    page = Page(report.page(bare, {}))
    assert page.open == [] and page.text("h2") == ["How it was generated"] and not page.named("table")
    assert "1 seed." in "".join(page.text("p"))
    assert tables.markdown(bare) == "# t\n\n## Notes\n\n- seeds: 1\n- command: `c`\n"


def test_alternative_text(page):
    alt = page.named("img")[1]["alt"]
    assert alt.startswith("Line chart of NDCG@10 over training users, %: GRU4Rec 0.01 to 0.03981; SASRec 0.02 to ")
    assert int(page.named("img")[1]["width"]) == figures.WIDTH * figures.DPI / 2
