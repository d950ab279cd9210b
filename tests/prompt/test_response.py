import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.prompt.response import ParsedResponse, format_response, parse_response
from recbole_llmfashion.prompt.texts import sanitize


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        (" product ID: 12, title: Red Boots", ParsedResponse("12", "Red Boots", True)),
        ("product ID: B0-7/x, title: a, title: b | c", ParsedResponse("B0-7/x", "a, title: b | c", True)),
        (" product ID: 12, title: Red Boots\nproduct ID: 13, title: x", ParsedResponse("12", "Red Boots", True)),
        (" product ID: 12, title:", ParsedResponse("12", None, False)),
        (" product ID: 12", ParsedResponse(None, None, False)),
        (" title: Red Boots, product ID: 12", ParsedResponse(None, None, False)),
        ("I think it is product ID: 12, title: Red Boots", ParsedResponse(None, None, False)),
        ("", ParsedResponse(None, None, False)),
    ],
)
def test_parse_response(text, parsed):
    assert parse_response(text) == parsed


@given(
    st.text(st.characters(blacklist_categories=("Z", "C"), blacklist_characters=","), min_size=1),
    st.text(min_size=1).map(lambda text: sanitize(text)).filter(bool),
)
def test_parse_of_a_formatted_response(token, title):
    assert parse_response(format_response(token, title)) == ParsedResponse(token, title, True)
