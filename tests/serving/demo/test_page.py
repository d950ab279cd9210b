"""What the page's events give back; Gradio itself is in the slow test."""

import sys
import threading

import pytest

from recbole_llmfashion.cli.main import main
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.demo.follow import Finished, follow
from recbole_llmfashion.serving.demo.page import OFFLINE, POLICY, RESULTS, Pages
from recbole_llmfashion.serving.demo.visit import Visit
from tests.helpers.demo import FakeDesk, FakeRecommender, looked

GOOD = " product ID: 14, title: White Sandals"


def pages(**told):
    state = FakeDesk()
    return Pages(FakeRecommender(state, looked(state, GOOD), **told), clock=lambda: 1000.0)


def test_a_visit_from_search_to_purchase():
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
    assert "bought" in page.done(now) and "full" not in page.done(now)


def test_a_picked_customer_stands_before_the_results_of_their_last_search():
    page = pages()
    now = page.pick("Searched “red boots”, clicked 1")
    assert now.heading == "red boots" and len(now.actions) == 2
    assert page.pick("nobody of these") == page.start()


def test_an_answer_is_shown_as_it_comes():
    page = pages(words=[" product ID: 14", " product ID: 14, title: Wh\ufffd"])
    now = page.search(page.start(), "boots")
    told = list(page.ask(now))
    assert page.recommender.requests == [[{"action": "search", "query": "boots", "timestamp": 1000.0}]]
    # how many of the words a reader sees depends on who is faster; the last one and the end are always seen
    assert 'aria-busy="true"' in told[0][0] and told[0][1:] == (None, None)
    assert "title: Wh</bdi>" in told[-2][0] and told[-2][1:] == (None, None)
    assert "Well formed: <b>yes" in told[-1][0] and "<mark" in told[-1][1] and "lf-list-mixup" in told[-1][2]


@pytest.mark.parametrize(
    ("error", "shown"),
    [(UserError("k: <1> is wrong"), "k: &lt;1&gt; is wrong"), (RuntimeError("a path of ours"), "The answer failed")],
)
def test_an_error_is_a_line_and_no_traceback(error, shown):
    *_, last = pages(error=error).ask(Visit())
    assert shown in last[0] and "a path of ours" not in last[0] and last[1:] == (None, None)


def test_words_that_come_together_are_read_as_the_last_one():
    read, told_all = threading.Event(), threading.Event()

    def ask(on_text):
        on_text("a")
        read.wait(10)
        for word in ("ab", "abc"):
            on_text(word)
        told_all.set()
        return 7

    reader = follow(ask)
    assert next(reader) == "a"
    read.set()
    told_all.wait(10)
    *words, done = reader
    assert words == ["abc"] and isinstance(done, Finished) and done.result == 7


def test_what_goes_wrong_while_one_listens_reaches_the_reader():
    def ask(on_text):
        on_text("a")
        raise KeyError("b")

    reader = follow(ask)
    assert next(reader) == "a"
    with pytest.raises(KeyError):
        next(reader)


def test_without_gradio_one_line_says_what_to_run(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setattr(sys, "argv", ["recbole-llmfashion", "demo", "--run", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and "uv sync --extra demo" in error


def test_nobody_else_is_asked():
    assert OFFLINE["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert "default-src 'self'" in POLICY and "http" not in POLICY and "*" not in POLICY
