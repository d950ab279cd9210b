"""Prompts whose items have tokens of their own, and the places of items in any prompt."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.timeline import Events
from recbole_llmfashion.prompt.builder import PromptBuilder, PromptSettings
from recbole_llmfashion.prompt.template import get_template
from tests.helpers.shop import KINDS, SETTINGS, TOKENIZER, index_of, loader_for, texts

BARE = replace(SETTINGS, item_text=False)
IDS = ("16", "11", "12", "13", "14", "15")
QUERIES = ("red boots", "clutch for a gala")
DAY = 86400.0
NOW = 19700 * DAY  # 2023-12-09


@cache
def builder_of(kind: str, template: str = "compact", chosen: PromptSettings = SETTINGS) -> PromptBuilder:
    titles = tuple(f"title of {item}" for item in IDS)
    attributes = {name: tuple(f"{name}{item}" for item in IDS) for name in SETTINGS.attributes}
    return PromptBuilder(
        TOKENIZER,
        get_template(template),
        Catalogue(IDS, titles, attributes),
        QUERIES,
        np.array([0, 1, 0]),
        None,
        chosen,
        index_of(kind, IDS),
    )


def shown_at(builder: PromptBuilder, prompt) -> str:
    return builder.decoder.decode(prompt.ids[prompt.named])


GOLDEN = """Predict the next purchase.
search red boots | Nov
click 11
buy 12
click 13
search Black Sandals
buy 14
click 15
search red boot | Dec, near Christmas
top
- 11
- 12
now Dec, near Christmas
buy"""


@pytest.mark.parametrize("kind", KINDS)
def test_ids_alone_are_a_short_prompt(tmp_path, kind):
    loader = loader_for(tmp_path, settings=BARE, kind=kind)
    assert texts(loader)[0] == GOLDEN
    prompt = next(loader.prompts([0]))[0]
    assert (prompt.items, prompt.acted) == ([1, 2, 3, 4, 5, 1, 2], 5)
    assert shown_at(loader.builder, prompt) == " 11 12 13 14 15"  # not the memory's, which are 11 and 12 again
    if kind == "semantic":
        assert len(prompt.named) == 5 * 4
    if kind == "atomic":  # one place for each action, and seven items' tokens in all
        assert len(prompt.named) == 5 and (prompt.ids >= len(TOKENIZER)).sum() == 7


def test_places_by_hand():
    builder = builder_of("atomic", chosen=replace(BARE, dates=False))
    prompt = builder.encode(Events(np.array([2, 0, 1]), np.array([1, 3, 0]), np.zeros(3)), NOW, [])
    head = TOKENIZER("Predict the next purchase.\nsearch clutch for a gala\nclick")["input_ids"]
    assert prompt.named.tolist() == [len(head), len(head) + 1 + len(TOKENIZER("\nbuy")["input_ids"])]
    assert prompt.ids[prompt.named].tolist() == [int(builder.item_ids[3][0]), int(builder.item_ids[0][0])]
    empty = builder.encode(Events(np.array([2]), np.array([0]), np.zeros(1)), NOW, [])
    assert empty.named.tolist() == [] and empty.named.dtype == np.int64 and (empty.items, empty.acted) == ([], 0)


events = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(19600, 19700)), max_size=12).map(
    lambda rows: Events(
        np.array([kind for kind, _, _ in rows], np.int8),
        np.array([ref % 3 if kind == 2 else ref for kind, ref, _ in rows], np.int64),
        np.array(sorted(day for _, _, day in rows)) * DAY,
    )
)


@settings(max_examples=30)
@given(
    events,
    st.sampled_from(KINDS),
    st.sampled_from(["compact", "paper"]),
    st.booleans(),
    st.sampled_from([0, 45, 300]),
    st.lists(st.integers(0, 5), max_size=6, unique=True),
)
def test_named_places_are_the_ids_of_the_actions_that_are_left(made, kind, template, item_text, room, recalled):
    plain = builder_of(kind, template)
    least = len(plain._instruction) + len(plain._answer) + 64
    builder = builder_of(kind, template, replace(SETTINGS, item_text=item_text, max_length=least + room + 64))
    prompt = builder.encode(made, NOW, recalled)
    acts = [int(ref) for kind_, ref in zip(made.kind, made.ref, strict=True) if kind_ != 2]
    acted = prompt.items[: prompt.acted]
    assert acted == acts[len(acts) - prompt.acted :]  # the newest
    assert shown_at(builder, prompt) == "".join(f" {IDS[item]}" for item in acted)
    assert prompt.items[prompt.acted :] == recalled[:5][: len(prompt.items) - prompt.acted]
    assert len(prompt.ids) <= least + room
    marks = {"compact": ("\nclick", "\nbuy"), "paper": ("\nclicked product ID:", "\npurchased product ID:")}[template]
    at = 0
    for item in acted:
        assert builder.decoder.decode(prompt.ids[: prompt.named[at]]).endswith(marks)
        at += len(builder.item_ids[item])
    assert at == len(prompt.named)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("template", ["compact", "paper"])
def test_without_item_text_no_title_is_shown(kind, template):
    made = Events(np.array([0, 1], np.int8), np.array([2, 5]), np.full(2, NOW))
    full, bare = (
        builder.decoder.decode(builder.encode(made, NOW, [4]).ids)
        for builder in (builder_of(kind, template), builder_of(kind, template, BARE))
    )
    for text in ("title of 12", "title of 15", "title of 14", "brand12"):
        assert text in full and text not in bare
    for token in (" 12", " 15", " 14"):
        assert token in bare


@pytest.mark.parametrize("recalled", [0, 1, 3])
def test_the_memory_shows_as_many_as_asked(recalled):
    builder = builder_of("atomic", chosen=replace(BARE, recalled=recalled))
    prompt = builder.encode(Events(np.array([2], np.int8), np.array([0]), np.full(1, NOW)), NOW, [5, 4, 3, 2, 1])
    assert prompt.items == [5, 4, 3, 2, 1][:recalled] and prompt.acted == 0 and len(prompt.named) == 0
    lines = builder.decoder.decode(prompt.ids).split("\n")
    assert [line for line in lines if line.startswith("-")] == ["- 15", "- 14", "- 13"][:recalled]
    assert ("top" in lines) == (recalled > 0)


def test_the_loader_keeps_what_the_prompt_does_not_show(tmp_path):
    loader = loader_for(tmp_path, settings=replace(BARE, recalled=1), kind="atomic")
    prompt, known = next(loader.prompts([0]))
    assert known == [1, 2] and prompt.items[prompt.acted :] == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_date_stands_where_the_month_or_holiday_changes(kind):
    days = [19662, 19670, 19687, 19692, 19704, 19706]  # 2023-11-01, -09, -26, 12-01, 12-13, 12-15
    made = Events(np.zeros(6, np.int8), np.arange(6), np.array(days) * DAY)
    builder = builder_of(kind, chosen=BARE)
    lines = builder.decoder.decode(builder.encode(made, days[-1] * DAY, []).ids).split("\n")
    expected = [" | Nov", "", "", " | Dec", " | Dec, near Christmas", ""]
    assert lines[1:-2] == [f"click {item}{date}" for item, date in zip(IDS, expected, strict=True)]


def test_the_same_builder_for_other_searches_names_items_alike():
    builder = builder_of("atomic", chosen=BARE)
    other = builder.with_queries(["gold clutch"], np.array([0]), None)
    assert other.index is builder.index and other.item_ids is builder.item_ids
    made = Events(np.array([2, 0], np.int8), np.array([0, 3]), np.full(2, NOW))
    text = other.decoder.decode(other.encode(made, NOW, []).ids)
    assert "\nsearch gold clutch" in text and "\nclick 13" in text
    assert "\nsearch red boots" in builder.decoder.decode(builder.encode(made, NOW, []).ids)
