"""The response's one line, written for training and read after generation (docs/method.md, stage 1).

    product ID: <item token>, title: <title>

An item token holds no white space and no comma, so the first comma ends it whatever the title holds.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

ID_PREFIX = " product ID:"
SEPARATOR = ", title:"
_FORMAT = re.compile(r"\s*product ID:\s*([^\s,]+)\s*,\s*title:[^\S\n]*(.*)")
_ITEM_TOKEN = re.compile(r"\s*([^\s,]+)")


@dataclass(frozen=True)
class ParsedResponse:
    """ID and title of a response.

    Args:
        item_token: the ID as generated, None where the line does not follow the format.
        title: the title as generated, None where the line does not follow the format or the title is empty.
        well_formed: the line follows the format and holds both.
    """

    item_token: str | None
    title: str | None
    well_formed: bool


def format_response(item_token: str, title: str) -> str:
    """The line that the LLM is trained to write.

    >>> format_response("B7", "Red boots")
    ' product ID: B7, title: Red boots'
    """
    return f"{ID_PREFIX} {item_token}{SEPARATOR} {title}"


def parse_response(text: str) -> ParsedResponse:
    """Reads the first line of a response; a line that does not follow the format gives neither ID nor title.

    >>> parse_response(" product ID: B7, title: Red boots\\nmore")
    ParsedResponse(item_token='B7', title='Red boots', well_formed=True)
    >>> parse_response("B7 I think")
    ParsedResponse(item_token=None, title=None, well_formed=False)
    """
    first = text.strip("\n").split("\n")[0]
    match = _FORMAT.fullmatch(first)
    if match is None:
        return ParsedResponse(None, None, False)
    title = match[2].strip()
    return ParsedResponse(match[1], title or None, bool(title))


def parse_id(text: str) -> str | None:
    """The ID in what goes on after `ID_PREFIX`, with or without a title behind it; None without one.

    >>> parse_id(" B7, title: Red boots"), parse_id(" B7"), parse_id(" , title")
    ('B7', 'B7', None)
    """
    match = _ITEM_TOKEN.match(text)
    return match and match[1]


def split_constrained(text: str) -> ParsedResponse:
    """Reads a response that was generated under the constraint, whose form is known, without a pattern.

    >>> split_constrained(" product ID: B7, title: Red boots")
    ParsedResponse(item_token='B7', title='Red boots', well_formed=True)
    """
    head, _, rest = text.partition(SEPARATOR)
    title = rest.split("\n")[0].strip()
    return ParsedResponse(head.removeprefix(ID_PREFIX).strip(), title or None, bool(title))


def _no_items() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Response:
    """The LLM's response to one prompt.

    Args:
        text: as generated.
        items: int64 positions of the items that the LLM finds likeliest, best first; empty without beam search.
        item: position of the generated item where decoding was constrained; None where the text must be parsed.
    """

    text: str
    items: np.ndarray = field(default_factory=_no_items)
    item: int | None = None

    @cached_property
    def parsed(self) -> ParsedResponse:
        """ID and title; the text is parsed only where it was sampled."""
        return parse_response(self.text) if self.item is None else split_constrained(self.text)
