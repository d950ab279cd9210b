"""Streaming of intermediate texts from a thread."""

import threading

import pytest

from recbole_llmfashion.serving.demo.follow import Finished, follow


def test_waiting_texts_are_skipped():
    read, all_sent = threading.Event(), threading.Event()

    def function(on_text):
        on_text("a")
        read.wait(10)
        for word in ("ab", "abc"):
            on_text(word)
        all_sent.set()
        return 7

    reader = follow(function)
    assert next(reader) == "a"
    read.set()
    all_sent.wait(10)
    *words, done = reader
    assert words == ["abc"] and isinstance(done, Finished) and done.result == 7


def test_errors_are_raised_in_the_reader():
    def function(on_text):
        on_text("a")
        raise KeyError("b")

    reader = follow(function)
    assert next(reader) == "a"
    with pytest.raises(KeyError):
        next(reader)
