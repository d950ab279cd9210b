"""HTML of single parts of the page."""

from recbole_llmfashion.retrieval.ranking import FUSED
from recbole_llmfashion.serving.demo import markup
from recbole_llmfashion.serving.demo.view import Moment


def test_special_characters():
    html = markup.problem("<b> & {{x}} ${y} `z` @w")
    assert "&lt;b&gt; &amp; &#123;&#123;x&#125;&#125; &#36;&#123;y&#125; &#96;z&#96; &#64;w" in html
    assert 'role="alert"' in html


def test_timeline():
    assert "Nothing yet" in markup.timeline([], False)
    html = markup.timeline([Moment("2024-01-02 03:04:05", "searched", "red boots")], True)
    assert '<li class="lf-searched"><b>searched</b> <bdi>red boots</bdi> <time>2024-01-02 03:04:05</time></li>' in html
    assert "This visit is full" in html


def test_heading_of_the_products():
    assert "Popular products" in markup.results("")
    assert "Results for “<bdi>red boots</bdi>”" in markup.results("red boots")


def test_response_in_progress():
    html = markup.answer(" product ID: 1", None, 2)
    assert 'aria-busy="true"' in html and "<bdi>product ID: 1</bdi>" in html and "lf-checks" not in html
    assert "No prompt" in markup.answer("", None, 0)


def test_header_and_style():
    html = markup.head("LLMFashionRec", "shoes", ["10 products", "seed 1"])
    assert "<h1>LLMFashionRec on shoes</h1>" in html and "<span>10 products</span><span>seed 1</span>" in html
    assert all(f".lf-list-{name} " in markup.style() for name in markup.LISTS)
    assert set(markup.LISTS) == {*FUSED, "clip", "popularity", "mixup", "final"}
