"""A long text in any script costs its own end, never the other actions."""

import unicodedata
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.data.timeline import CLICK, PURCHASE, SEARCH, Events
from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.prompt.builder import PromptBuilder, PromptSettings
from recbole_llmfashion.prompt.item_tokens import ItemTokens, atomic_tokens, semantic_tokens
from recbole_llmfashion.prompt.response import SEPARATOR
from recbole_llmfashion.prompt.template import get_template
from recbole_llmfashion.prompt.texts import sanitize

TOKENIZER = load_tokenizer(str(TINY_FALCON_FOLDER))
SCRIPTS = {
    "latin": "red winter boots for women ",
    "cyrillic": "красные зимние ботинки ",
    "greek": "κόκκινες χειμερινές μπότες ",
    "chinese": "红色冬季女靴",
    "japanese": "赤い冬用ブーツ",
    "korean": "빨간 겨울 부츠 ",
    "jamo": unicodedata.normalize("NFD", "빨간 겨울 부츠 "),
    "thai": "รองเท้าบูทกันหนาวสีแดง",
    "arabic": "حذاء شتوي أحمر ",
    "hebrew": "מגפי חורף אדומים ",
    "hindi": "लाल सर्दियों के जूते ",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇫🇷🇩🇪👢",
    "marks": "e\u0301a\u0308\u0323o\u0302\u0301",
    "one character": "Z" + "".join(map(chr, range(0x300, 0x340))),
}
LENGTHS = (10, 50, 200, 2000)
KINDS = ("text", "atomic", "semantic")
IDS = ("11", "12", "13", "14")
SHORT = "Blue Sandals"
SETTINGS = PromptSettings(("category", "brand"), max_length=256, max_new_tokens=40, dates=True)
TIME = 1_700_000_000.0


def text_of(script: str, length: int) -> str:
    return (SCRIPTS[script] * (length // len(SCRIPTS[script]) + 1))[:length]


@cache
def tokens_of(kind: str) -> ItemTokens | None:
    tie = tie_rank(IDS)
    if kind == "text":
        return None
    return atomic_tokens(tie, len(TOKENIZER)) if kind == "atomic" else semantic_tokens(np.zeros((4, 3), int), tie, 4096)


def builder_of(text: str, kind: str, item_text: bool, every: bool = False, **other: int) -> PromptBuilder:
    """A shop whose first item and first query have this text; `every` item and query with `every`."""
    titles = tuple(text if every or not i else SHORT for i in range(4))
    brands = tuple(text if not i else "Norda" for i in range(4))
    catalogue = Catalogue(IDS, titles, {"category": ("boots",) * 4, "brand": brands})
    queries = [text, text if every else "sandals"]
    settings = replace(SETTINGS, item_text=item_text, **other)
    return PromptBuilder(
        TOKENIZER, get_template("compact"), catalogue, queries, np.array([0, 1]), None, settings, tokens_of(kind)
    )


def lines_of(builder: PromptBuilder, ids: np.ndarray) -> list[str]:
    return builder.decoder.decode(ids.tolist(), clean_up_tokenization_spaces=False).split("\n")


def events_of(*steps: tuple[int, int]) -> Events:
    kinds, refs = zip(*steps, strict=True)
    return Events(np.array(kinds, np.int8), np.array(refs), TIME + np.arange(len(steps)))


BEFORE = [(CLICK, 1), (PURCHASE, 2), (SEARCH, 1), (CLICK, 3)]


@pytest.mark.parametrize("item_text", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_long_text_costs_its_own_end(script, length, kind, item_text):
    text = text_of(script, length)
    builder = builder_of(text, kind, item_text)
    clean, most = sanitize(text), builder.text_limits
    for step in ((SEARCH, 0), (CLICK, 0)):
        prompt = builder.encode(events_of(*BEFORE, step), TIME, [])
        assert prompt.dropped == 0 and len(prompt.ids) <= SETTINGS.max_length - SETTINGS.max_new_tokens
        *before, last, _, _ = lines_of(builder, prompt.ids)
        assert [line.split(" ")[1] for line in before[1:]] == ["12", "13", "sandals", "14"]
        assert prompt.items == [1, 2, 3, *([0] if step[0] == CLICK else [])]
        shown = last.removeprefix("search ").split(" | ")
        shown = [field.removeprefix("brand: ") for field in shown if field not in ("click 11", "category: boots")]
        tokens = len(TOKENIZER(f" {clean}", add_special_tokens=False)["input_ids"])
        if step[0] == SEARCH:
            long = tokens > most.cell or length > 200
            assert prompt.shortened == long
        else:  # without item text nothing of the title is shown, so nothing is cut
            long = item_text and prompt.shortened == 1
            assert prompt.shortened == (item_text and (length > 200 or "".join(shown) != clean + clean))
        for part in shown if step[0] == SEARCH or item_text else []:
            assert clean.startswith(part) and "\ufffd" not in part
            assert long or part == clean
            rest = clean[len(part) :]
            if script not in ("one character", "marks"):
                assert not rest or unicodedata.category(rest[0])[0] != "M"
                assert not rest or "\u200d" not in (rest[0], part[-1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_long_texts_everywhere(script, kind):
    """Every query, title and brand is long: still several actions and products."""
    builder = builder_of(text_of(script, 200), kind, item_text=True, every=True)
    steps = [(SEARCH, 0), (CLICK, 0), (SEARCH, 1), (CLICK, 1), (PURCHASE, 2), (SEARCH, 0)]
    prompt = builder.encode(events_of(*steps), TIME, [0, 1, 2])
    assert prompt.acted >= 1 and prompt.dropped <= 4 and len(prompt.items) - prompt.acted >= 1
    assert prompt.shortened == len(steps) - prompt.dropped
    assert len(prompt.ids) <= 216
    queries = builder.encode(events_of(*[(SEARCH, i % 2) for i in range(10)]), TIME, [])
    assert queries.dropped <= 6 and builder.shortened_texts == (2, 4)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_title_of_a_response_ends_with_a_whole_character(script):
    text = text_of(script, 200)
    builder = builder_of(text, "atomic", item_text=False)
    ids = builder.response(0)
    assert len(ids) <= SETTINGS.max_new_tokens and ids[-1] == TOKENIZER.eos_token_id
    title = builder.decoder.decode(ids[:-1].tolist()).partition(SEPARATOR)[2].strip()
    assert title and text.startswith(title) and "\ufffd" not in title
    assert builder.response(1).tolist()[-1 - len(builder._items.titles[1]) : -1] == builder._items.titles[1].tolist()


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_newest_action_goes_before_the_memory(script):
    """In the smallest prompt that is allowed, the memory leaves its room to the newest action."""
    smallest = builder_of("x", "text", True)._room() - 64
    builder = builder_of(text_of(script, 200), "text", True, max_length=256 - smallest)
    prompt = builder.encode(events_of(*BEFORE, (CLICK, 0)), TIME, [1, 2, 3])
    assert prompt.items[: prompt.acted][-1:] == [0] and len(prompt.ids) <= 216 - smallest


def test_limits_follow_the_room():
    builder = builder_of("x", "text", True)
    assert builder.text_limits.cell == builder._room() // 6 and builder.text_limits.action == builder._room() // 3
    assert builder_of("x", "text", True, max_length=1024).text_limits.cell > 4 * builder.text_limits.cell - 24


def test_queries_that_were_cut_before():
    builder = builder_of("x", "atomic", False)
    other = builder.with_queries(["boots", "sandals"], np.array([0, 1]), None, (False, True))
    assert other.shortened_texts == (1, 0) and builder.shortened_texts == (0, 0)
    assert other.encode(events_of((SEARCH, 0), (SEARCH, 1), (SEARCH, 1)), TIME, []).shortened == 2


def test_new_texts_grow_no_cache():
    """5,000 searches on 5,000 days: the builder keeps the texts of months and holidays, and nothing of the searches."""
    builder = builder_of("x", "atomic", False)
    sizes = []
    for start in (0, 2_500):
        for number in range(start, start + 2_500):
            other = builder.with_queries([f"query {number}"], np.zeros(1, np.int64), None)
            now = 86_400.0 * (231 * number % 1_157_000)
            other.row(Events(np.array([SEARCH], np.int8), np.array([0]), np.array([now])), now)
        parts = {**vars(builder), **vars(builder._dates)}
        sizes.append({name: len(value) for name, value in parts.items() if hasattr(value, "__len__")})
    assert sizes[0] == sizes[1] and 12 < sizes[1]["_pieces"] <= 2 * 12 * 8


def test_a_description_of_200_kb():
    """Only its first 200 characters are read, and the item counts as cut."""
    columns = {"category": ("boots",) * 4, "description": ("soft wool\n" * 20_000, "Leather upper.", "", "")}
    catalogue = Catalogue(IDS, (SHORT,) * 4, columns)
    settings = replace(SETTINGS, attributes=("description", "category"), max_length=1024, dates=False)
    builder = PromptBuilder(
        TOKENIZER, get_template("compact"), catalogue, [], np.zeros(0, np.int64), None, settings, tokens_of("atomic")
    )
    prompt = builder.encode(events_of((CLICK, 1), (CLICK, 2), (CLICK, 0)), TIME, [])
    assert lines_of(builder, prompt.ids)[1:-1] == [
        "click 12 | Blue Sandals | description: Leather upper. | category: boots",
        "click 13 | Blue Sandals | category: boots",
        f"click 11 | Blue Sandals | description: {'soft wool ' * 20}".rstrip() + " | category: boots",
    ]
    assert (prompt.shortened, builder.shortened_texts) == (1, (0, 1))
