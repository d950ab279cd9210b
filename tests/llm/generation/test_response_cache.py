"""Responses by prompt: what is generated, what is kept, and what a stage's file gives back."""

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.llm.generation.response_cache import ResponseCache, generate_responses, prompt_key
from recbole_llmfashion.prompt.response import Response

A, B, C = (np.array(ids, np.int32) for ids in ([1, 2], [1, 2, 3], [7]))
BEAMS = np.array([[4, 2, -1], [3, -1, -1], [1, 0, 5]])  # -1 after the last item


class Generator:
    """Replaces a generator: the text is the prompt's first token, the item its last."""

    def __init__(self, trie="a trie", at_once=None):
        self.trie, self.at_once, self.calls = trie, at_once, []

    def generate(self, prompts, show_progress, on_text):
        self.calls.append("generate")
        return [(f"text {ids[0]}", int(ids[-1])) for ids in prompts]

    def best(self, prompts, num_beams, show_progress):
        self.calls.append(f"best {num_beams}")
        return BEAMS[: len(prompts), :num_beams], None


def fields(responses):
    return [(response.text, np.asarray(response.items).tolist(), response.item) for response in responses]


def test_texts_alone():
    for generator, beams in ((Generator(), 0), (Generator(trie=None), 3)):
        responses = generate_responses(generator, [A, C], beams)
        assert fields(responses) == [("text 1", [], 2), ("text 7", [], 7)] and generator.calls == ["generate"]


def test_texts_beside_the_likeliest_items():
    generator = Generator()
    responses = generate_responses(generator, [A, B, C], 3)
    assert fields(responses) == [("text 1", [4, 2], 2), ("text 1", [3], 3), ("text 7", [1, 0, 5], 7)]
    assert generator.calls == ["best 3", "generate"]


def test_the_likeliest_item_is_the_response_where_one_prefill_gives_both():
    generator = Generator(at_once=lambda item: f"item {item}")
    assert fields(generate_responses(generator, [A, B], 2)) == [("item 4", [4, 2], 4), ("item 3", [3], 3)]
    assert generator.calls == ["best 2"]


def test_key_of_a_prompt():
    """SHA-256 of the token ids as int32, whatever type they have."""
    expected = "34fb5c825de7ca4aea6e712f19d439c1da0c92c37b423936c5f618545ca4fa1f"
    assert (
        prompt_key(A) == prompt_key(A.astype(np.int64)) == prompt_key(np.array([1, 0, 2, 0], np.int32)[::2]) == expected
    )
    assert len({prompt_key(ids) for ids in (A, B, C)}) == 3
    long = np.arange(5000)
    for at in range(0, 5000, 499):
        assert prompt_key(long) != prompt_key(np.where(long == at, 7000, long))


def cache_of(remember=True):
    calls = []

    def generate(prompts):
        calls.append([ids.tolist() for ids in prompts])
        return [Response(f"{len(calls)}: {ids.tolist()}") for ids in prompts]

    return ResponseCache(generate, remember), calls


def test_each_prompt_is_generated_once():
    cache, calls = cache_of()
    assert [one.text for one in cache([A, B, A])] == ["1: [1, 2]", "1: [1, 2, 3]", "1: [1, 2]"]
    assert [one.text for one in cache([C, B])] == ["2: [7]", "1: [1, 2, 3]"]
    assert cache([A]) and cache([]) == [] and calls == [[[1, 2], [1, 2, 3]], [[7]]]


def test_a_cache_that_keeps_nothing():
    cache, calls = cache_of(remember=False)
    assert [one.text for one in cache([A, A])] == ["1: [1, 2]"] * 2
    assert [one.text for one in cache([A])] == ["2: [1, 2]"] and len(calls) == 2


def test_another_generator_for_the_missing_prompts():
    cache, calls = cache_of()
    cache([A])
    other = cache([A, B], lambda prompts: [Response("other")] * len(prompts))
    assert [one.text for one in other] == ["1: [1, 2]", "other"] and calls == [[[1, 2]]]


def test_file_of_a_stage(tmp_path):
    texts = {2: " product ID: shoe, title: Red", 3: " product ID: none, title: x", 1: "no answer"}
    items = {2: [4, 2], 3: [], 1: [0]}
    cache = ResponseCache(lambda prompts: [Response(texts[len(ids)], np.array(items[len(ids)])) for ids in prompts])
    cache.write([A, B, C, A], tmp_path)
    frame = pd.read_parquet(tmp_path / "responses.parquet")
    assert list(frame.columns) == ["prompt", "response", "items"] and frame["prompt"].tolist() == [
        *map(prompt_key, [A, B, C])
    ]
    loaded = ResponseCache(lambda prompts: pytest.fail("generated again"))
    loaded.load(tmp_path, {"shoe": 9})
    assert fields(loaded([A, B, C])) == [(texts[2], [4, 2], 9), (texts[3], [], None), (texts[1], [0], None)]
    sampled = ResponseCache(lambda prompts: pytest.fail("generated again"))
    sampled.load(tmp_path)
    assert [one.item for one in sampled([A, B, C])] == [None] * 3
    loaded.save(tmp_path)
    saved = pd.read_parquet(tmp_path / "responses.parquet")
    assert saved["prompt"].tolist() == sorted(frame["prompt"]) and len(saved) == 3
