"""Texts that are not JSON, or are nested too deeply for Python's reader."""

import pytest

from recbole_llmfashion.files.json_text import parse_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ('{"a": 1} 2', "Extra data"),
        (b"\xff\xfe{", "truncated data"),
        ("[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_a_value_error(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


@pytest.mark.parametrize(("text", "value"), [("[1, 2.5, null]", [1, 2.5, None]), (b'{"id": "\xc3\xa9"}', {"id": "é"})])
def test_value(text, value):
    assert parse_json(text) == value
