"""Handlers of the page's events; the page in a browser is tested in test_demo.py."""

import socket
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from recbole_llmfashion.cli.main import main
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.demo.address import check_address
from recbole_llmfashion.serving.demo.page import (
    OFFLINE,
    POLICY,
    RESULTS,
    Pages,
    SecurityHeaders,
    serve,
)
from recbole_llmfashion.serving.demo.visit import Visit
from tests.helpers.demo import FakeRecommender, FakeState, explained
from tests.helpers.service import call

GOOD = " product ID: 14, title: White Sandals"


def pages(**keys):
    state = FakeState()
    return Pages(FakeRecommender(state, explained(state, GOOD), **keys), clock=lambda: 1000.0)


def test_search_click_and_buy():
    page = pages()
    now = page.start()
    assert now.shown == (5, 4, 3, 2, 1, 0) and now.heading == ""  # popular
    now = page.search(now, "  red   boots ")
    assert now.heading == "red boots" and now.shown == (0, 1, 2, 3, 4, 5)
    labels = page.labels(now)
    assert labels[:2] == ["Red Boots (10)", "Blue Boots (11)"] and labels[6:] == [""] * (RESULTS - 6)
    now = page.buy(page.click(now, labels[1]))
    assert [(action.kind, action.item) for action in now.actions] == [("search", -1), ("click", 1), ("purchase", 1)]
    assert page.click(now, "what is no longer shown (99)") is now
    assert page.search(now, " ") is now
    assert "bought" in page.timeline(now) and "full" not in page.timeline(now)


def test_pick_an_example():
    page = pages()
    now = page.pick("Searched “red boots”, clicked 1")
    assert now.heading == "red boots" and len(now.actions) == 2
    assert page.pick("unknown example") == page.start()


def test_streamed_response():
    page = pages(words=[" product ID: 14", " product ID: 14, title: Wh\ufffd"])
    now = page.search(page.start(), "boots")
    updates = list(page.respond(now))
    assert page.recommender.sessions == [[{"action": "search", "query": "boots", "timestamp": 1000.0}]]
    # intermediate texts may be skipped; the last text and the result are always yielded
    assert 'aria-busy="true"' in updates[0][0] and updates[0][1:] == (None, None)
    assert "title: Wh</bdi>" in updates[-2][0] and updates[-2][1:] == (None, None)
    assert "Well formed: <b>yes" in updates[-1][0] and "<mark" in updates[-1][1] and "lf-list-mixup" in updates[-1][2]


@pytest.mark.parametrize(
    ("error", "shown"),
    [(UserError("k: <1> is wrong"), "k: &lt;1&gt; is wrong"), (RuntimeError("a path of ours"), "The response failed")],
)
def test_errors_are_shown_without_traceback(error, shown):
    *_, last = pages(error=error).respond(Visit())
    assert shown in last[0] and "a path of ours" not in last[0] and last[1:] == (None, None)


def test_gradio_is_not_installed(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr("recbole_llmfashion.pipeline.manifest.read_manifest", lambda run: None)
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setattr(sys, "argv", ["recbole-llmfashion", "demo", "--run", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and "uv sync --extra demo" in error


def test_the_address_is_tried():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError) as raised:
            check_address("127.0.0.1", port)
    assert str(raised.value) == f"--port: expected a free port, found '{port}', which is in use; choose another"
    check_address("127.0.0.1", port)
    for host in ("192.0.2.1", "no host", "a..b", "a" * 64):  # kept for examples: no machine has the first one
        with pytest.raises(UserError) as raised:
            check_address(host, port)
        assert str(raised.value) == (
            f"--host: expected an address of this machine, found '{host}'; 127.0.0.1 is always one"
        )


def test_the_address_is_printed_once_the_server_listens():
    pytest.importorskip("gradio")
    told = []

    class Blocks:
        def queue(self, **keys):
            return self

        def launch(self, **keys):
            told.append("launched")
            return None, "http://127.0.0.1:1/", None

        def block_thread(self):
            told.append("waits")

    assert serve(Blocks(), "127.0.0.1", 1, listening=lambda: told.append("listens")) == "http://127.0.0.1:1/"
    assert told == ["launched", "listens", "waits"]


def test_no_external_access():
    assert OFFLINE["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert "default-src 'self'" in POLICY and "http" not in POLICY and "*" not in POLICY


async def page_app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


def test_nothing_can_be_uploaded():
    for path in ("/gradio_api/upload", "/gradio_api/upload/", "/upload"):
        status, headers, text = call(SecurityHeaders(page_app), "POST", path, b"x" * 1000)
        assert (status, text, headers["content-security-policy"]) == (404, "", POLICY)
    status, headers, text = call(SecurityHeaders(page_app), "POST", "/gradio_api/queue/join")
    assert (status, text, headers["content-security-policy"]) == (200, "the page", POLICY)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_page_at_an_address_stores_no_upload(host):
    """A real page, whose first answer shows that it runs there."""
    gradio = pytest.importorskip("gradio")
    try:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
            port = found.getsockname()[1]
    except OSError:
        pytest.skip(f"this machine has no {host}")
    check_address(host, port)
    with gradio.Blocks(analytics_enabled=False) as blocks:
        gradio.HTML("a page")
    address = serve(blocks, host, port, wait=False)
    try:
        assert address == f"http://{'[::1]' if host == '::1' else host}:{port}/"
        assert urlopen(address).status == 200
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{address}gradio_api/upload", data=b"x" * 1000)
    finally:
        blocks.close()
