"""The page in a browser, and the parts of serving/ that it uses."""

import socket
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.prompt.memory import MemoryLog
from recbole_llmfashion.serving.demo import page as demo
from recbole_llmfashion.serving.recommender import Recommender

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>{{constructor}} ${window.pwned=1}'
SEARCH = {"action": "search", "query": "red winter boots", "timestamp": 1_700_000_000.0}

NAME = "e => (e.labels && e.labels[0] ? e.labels[0].innerText : e.innerText || '').trim()"


def test_explain_equals_recommend(job, recommender):
    for actions in (
        [],
        [SEARCH],
        [SEARCH, {"action": "click", "item_id": job.ranks["top"].iloc[0][0], "timestamp": 1.8e9}],
    ):
        explanation, lines = recommender.explain(actions), recommender.recommend(actions, 10, explain=True)
        ids = explanation.state.pool.catalogue.item_ids
        assert [ids[i] for i in explanation.reply.top(10)] == [line.item for line in lines]
        assert [explanation.reply.list_of(i) for i in explanation.reply.top(10)] == [line.list for line in lines]
        assert explanation.state.ranked_by(explanation.reply, "fusion").order.equal(explanation.reply.ranked.order)
        assert explanation.reply.response.text == (lines[0].response or "") and explanation.masked == frozenset()
    by_beams = explanation.state.ranked_by(explanation.reply, "beams").order[0, : len(explanation.reply.response.items)]
    assert by_beams.tolist() == explanation.reply.response.items.tolist()  # places among the live items, as the order's


def test_header(recommender):
    """Names of today, though the run folder keeps those of the first release."""
    backbone = recommender.state.run.manifest.content["backbone"]["name"]
    facts = demo.Pages(recommender).facts()
    assert backbone == "embedded" and "backbone tiny-falcon" in facts and "ranking fusion" in facts


def test_position_of_the_memory_in_the_prompt(recommender):
    explanation = recommender.explain([SEARCH])
    prompt, state = explanation.reply.prompt, explanation.state
    begin, end = prompt.memory
    text = state.decoder.decode(prompt.ids[begin:end].tolist())
    tokens = [state.builder.item_names[i] for i in prompt.items[prompt.acted :]]
    assert len(tokens) == 5 and text.split() == ["top", *(word for token in tokens for word in ("-", token))]
    clicked = recommender.explain([{"action": "click", "item_id": state.pool.catalogue.item_ids[0], "timestamp": 1.0}])
    assert clicked.reply.prompt.memory[0] == clicked.reply.prompt.memory[1]


def test_search(recommender):
    state = recommender.state
    recalled = state.memory.top_products("red winter boots")
    found = recommender.search("red  winter boots", 300)
    assert found[: len(recalled)] == recalled and sorted(found) == list(range(300))
    first = state.pool.catalogue.item_ids[found[0]]
    recommender.remove_items([first])
    again = recommender.search("red winter boots", 300)
    assert len(again) == 299 and found[0] not in again
    popular = recommender.search(" ", 3)
    assert state.pool.popularity[popular].tolist() == sorted(state.pool.popularity, reverse=True)[:3]


@pytest.mark.parametrize("decoding", [{"response_title": "generated"}, {"decoding": "sample"}])
def test_streamed_response(text_recommender, decoding):
    """Streaming does not change the response; a stored response is not streamed."""
    run = text_recommender.state.run
    texts: list[str] = []
    assert text_recommender.explain([SEARCH], on_text=texts.append).reply.response.text and texts == []
    talking = Recommender(replace(run, decoding=replace(run.decoding, **{"response_title": "generated", **decoding})))
    explanation = talking.explain([SEARCH], on_text=texts.append)
    assert (
        len(texts) > 1 and texts[-1] == explanation.reply.response.text == talking.explain([SEARCH]).reply.response.text
    )
    assert all(later.startswith(earlier.rstrip("\ufffd")) for earlier, later in pairwise(texts))


@pytest.fixture(scope="module")
def browser():
    """Chromium; skipped if Chromium, Playwright or Gradio is not installed."""
    pytest.importorskip("gradio", reason="gradio is not installed: uv sync --extra demo")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: uv sync --group browser"
    )
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES.split())
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(job):
    """The run with a hostile item title and query; responses are generated word by word."""
    run = Recommender.from_pretrained(job.run).state.run
    files = run.memory
    queries = tuple(EVIL if i == 0 else query for i, query in enumerate(files.queries))
    # the example searches are the queries of most users, so the hostile one needs the highest count
    askers = tuple(1_000 if i == 0 else count for i, count in enumerate(files.askers))
    # the memory holds three products only, so search results also come from the title list
    log = MemoryLog(files.log.search[:3], files.log.query[:3] * 0, files.log.item[:3], files.log.position[:3])
    decoding = replace(run.decoding, response_title="generated")
    recommender = Recommender(
        replace(run, decoding=decoding, memory=replace(files, queries=queries, askers=askers, log=log))
    )
    recommender.add_items(pd.DataFrame({"item_id": ["evil"], "title": [EVIL]}))
    return demo.Pages(recommender)


@pytest.fixture(scope="module")
def address(browser, pages):
    blocks = demo.build(pages)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    yield demo.serve(blocks, "127.0.0.1", port, wait=False)
    blocks.close()


@pytest.fixture(params=[390, 1280])
def screen(request, browser, address):
    """The page at phone and desktop width; checks requests and errors of the browser."""
    page = browser.new_page(viewport={"width": request.param, "height": 844})
    requests, errors = [], []
    page.on("request", lambda sent: requests.append(sent.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.set_default_timeout(60_000)
    page.goto(address)
    page.wait_for_selector("#lists .lf-list-final li")
    yield page
    assert requests and {url.split("/")[2] for url in requests if not url.startswith(("data:", "blob:"))} == {
        address.split("/")[2]
    }
    assert errors == []
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


def tab_to(page, name):
    """Presses Tab until the element with this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(f"({NAME})(document.activeElement)")
        if focused.startswith(name):
            return
    raise AssertionError(f"no Tab leads to {name}")


def steps(page, count):
    page.wait_for_function(f"document.querySelectorAll('#timeline li').length === {count}")
    done = f"#answer [data-actions='{count}']"
    page.wait_for_selector(f"{done} [aria-busy=false], {done} .lf-quiet")
    page.wait_for_selector(f"#lists [data-actions='{count}']")
    return page.locator("#timeline li b").all_inner_texts()


@pytest.mark.slow
@pytest.mark.alone
def test_keyboard_only(screen, pages):
    """Search, click, buy, undo; the final ranking equals `recommend`, with the color of each source list."""
    tab_to(screen, "Search the shop")
    screen.keyboard.type("red boots")
    screen.keyboard.press("Enter")
    assert steps(screen, 1) == ["searched"]
    first = screen.locator(".lf-product").first.inner_text()
    tab_to(screen, first)
    screen.keyboard.press("Enter")
    assert steps(screen, 2)[1:] == ["clicked"] and first.startswith(
        screen.locator("#timeline li bdi").last.inner_text()
    )
    tab_to(screen, "Buy the last clicked")
    screen.keyboard.press("Space")
    assert steps(screen, 3)[2:] == ["bought"]
    tab_to(screen, "Undo")
    screen.keyboard.press("Enter")
    assert steps(screen, 2) == ["searched", "clicked"]
    item = first.rsplit("(", 1)[1].rstrip(")")
    actions = [{**SEARCH, "query": "red boots"}, {"action": "click", "item_id": item, "timestamp": 1_700_000_001.0}]
    lists = screen.locator("#lists .lf-list")
    assert lists.locator("h3").all_inner_texts() == [
        "Final ranking",
        "LLM beams",
        "ID list",
        "Title list",
        "Mixup",
    ]
    assert "Well formed: yes" in screen.locator("#answer").inner_text()
    shown = lists.first.locator("li small bdi:first-child").all_inner_texts()
    # the clock of the page gives another month than this session, which may change the prompt
    now = pages.clock()
    actions = [{**action, "timestamp": now - 1 + i} for i, action in enumerate(actions)]
    expected = pages.recommender.recommend(actions, 10)
    assert shown == [line.item for line in expected]
    colors = "e => getComputedStyle(e).borderLeftColor"
    drawn = [line.evaluate(colors) for line in lists.first.locator("li").all()]
    chips = [chip.evaluate(colors) for chip in lists.first.locator(".lf-chip").all()]
    assert drawn == chips and len({line.list for line in expected}) == len(set(drawn))
    tops = [one.evaluate("e => getComputedStyle(e).borderTopColor") for one in lists.all()]
    assert len(set(tops)) == 5


@pytest.mark.slow
@pytest.mark.alone
def test_hostile_texts(screen):
    """In an item title, a typed query, and a query of the memory."""
    names = screen.locator("label").filter(has_text="onerror")
    assert EVIL.split("{")[0].lower() in names.first.inner_text().lower()
    names.first.click()
    steps(screen, 1)
    screen.get_by_label("Search the shop").fill(EVIL)
    screen.keyboard.press("Enter")
    assert steps(screen, 2) == ["searched", "searched"]
    assert screen.locator("#timeline li bdi").last.inner_text() == EVIL
    assert EVIL in screen.locator("#results h2").inner_text()
    evil = screen.locator(".lf-product").filter(has_text="onerror").first
    assert evil.inner_text() == f"{EVIL} (evil)"
    evil.click()
    assert steps(screen, 3)[-1] == "clicked" and screen.locator("#timeline li bdi").last.inner_text() == EVIL
    assert screen.locator("img[src=x]").count() == 0
    tab_to(screen, "Start over")
    screen.keyboard.press("Enter")
    assert steps(screen, 0) == [] and "No prompt" in screen.locator("#answer").inner_text()
