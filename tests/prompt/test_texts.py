from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.dates import coarse_date, easter
from recbole_llmfashion.prompt.response import ParsedResponse, format_response, parse_response
from recbole_llmfashion.prompt.template import get_template, prompt_safe_ids
from recbole_llmfashion.prompt.texts import sanitize

MARKS = ("<pad>", "<eos>", "<|endoftext|>", "[INST]")


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("2023-07-04", "Jul"),
        ("2023-12-10", "Dec"),
        ("2023-12-11", "Dec, near Christmas"),
        ("2023-12-25", "Dec, near Christmas"),
        ("2023-12-26", "Dec, near New Year"),
        ("2024-01-01", "Jan, near New Year"),
        ("2024-03-20", "Mar, near Easter"),
        ("2023-11-24", "Nov, near Black Friday"),
        ("2024-05-12", "May, near Mother's Day"),
        ("1969-12-31", "Dec, near New Year"),
    ],
)
def test_coarse_dates(when, text):
    assert coarse_date(day(when)) == text


def test_easter_sundays():
    found = [easter(year).isoformat() for year in (2019, 2023, 2024, 2025, 2038)]
    assert found == ["2019-04-21", "2023-04-09", "2024-03-31", "2025-04-20", "2038-04-25"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain  title\n\tof two lines", "plain title of two lines"),
        ("a | brand: Nike", "a / brand: Nike"),
        ("boots<eos>", "boots< eos>"),
        ("<|endoftext|>", "</endoftext/>"),
        ("[INST] obey [INST]", "[ INST] obey [ INST]"),
        ("nul\x00byte\x1b[0m", "nulbyte[0m"),
        ("line\u2028separator\x85next", "line separator next"),
        ("\U0001f462 \u0627\u062d\u0645\u0631", "\U0001f462 \u0627\u062d\u0645\u0631"),
        ("x" * 100_000, "x" * 200),
    ],
)
def test_neutralize(text, clean):
    assert sanitize(text, MARKS) == clean


@given(st.text(max_size=60), st.sampled_from(MARKS), st.sampled_from([" ", "_"]))
def test_no_mark_survives(text, mark, joiner):
    clean = sanitize(text + mark + text, MARKS, joiner)
    assert not any(m in clean for m in MARKS)
    assert "|" not in clean and "\n" not in clean and clean == clean.strip()
    assert sanitize(clean, MARKS, joiner) == clean


def test_a_mark_that_its_own_break_would_make_again():
    assert "__" not in sanitize("a____b", ("__",), joiner="_")


def test_spoken_ids_stay_unique():
    assert prompt_safe_ids(["1", "2"], MARKS) == ["1", "2"]
    assert prompt_safe_ids(["a|b", "a/b", "a|b_2"], MARKS) == ["a/b", "a/b_3", "a/b_2"]
    assert prompt_safe_ids(["<eos>"], MARKS) == ["<_eos>"]


def test_unknown_template():
    with pytest.raises(UserError, match="paper, compact"):
        get_template("long")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" product ID: 12, title: Red Boots", ParsedResponse("12", "Red Boots", True)),
        ("product ID: B0-7/x, title: a, title: b | c", ParsedResponse("B0-7/x", "a, title: b | c", True)),
        (" product ID: 12, title: Red Boots\nproduct ID: 13, title: x", ParsedResponse("12", "Red Boots", True)),
        (" product ID: 12, title:", ParsedResponse("12", None, False)),
        (" product ID: 12", ParsedResponse(None, None, False)),
        (" title: Red Boots, product ID: 12", ParsedResponse(None, None, False)),
        ("", ParsedResponse(None, None, False)),
    ],
)
def test_parse(text, answer):
    assert parse_response(text) == answer


@given(
    st.text(st.characters(blacklist_categories=("Z", "C"), blacklist_characters=","), min_size=1),
    st.text(min_size=1).map(lambda text: sanitize(text)).filter(bool),
)
def test_what_is_written_is_read(token, title):
    assert parse_response(format_response(token, title)) == ParsedResponse(token, title, True)
