"""The answer's one line, written for training and read after generation (docs/method.md, stage 1).

    product ID: <item token>, title: <title>

An item token holds no white space and no comma, so the first comma ends it whatever the title says. This module does
not know which ids exist.
"""

import re
from dataclasses import dataclass, field

import numpy as np

ID_PREFIX = " product ID:"
SEPARATOR = ", title:"
_FORMAT = re.compile(r"\s*product ID:\s*([^\s,]+)\s*,\s*title:[^\S\n]*(.*)")


@dataclass(frozen=True)
class ParsedResponse:
    """What was read from a response.

    Args:
        item_token: the ID as generated, None where the line does not follow the format.
        title: the title as generated, None where the line does not follow the format or the title is empty.
        well_formed: the line follows the format and holds both.
    """

    item_token: str | None
    title: str | None
    well_formed: bool


def format_response(item_token: str, title: str) -> str:
    """The line that training shows."""
    return f"{ID_PREFIX} {item_token}{SEPARATOR} {title}"


def parse_response(text: str) -> ParsedResponse:
    """Reads a response; what follows the first line is no part of the answer.

    From a line that does not follow the format nothing is guessed.
    """
    first = text.strip("\n").split("\n")[0]
    match = _FORMAT.fullmatch(first)
    if match is None:
        return ParsedResponse(None, None, False)
    title = match[2].strip()
    return ParsedResponse(match[1], title or None, bool(title))


def _nothing() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Response:
    """What the LLM said to one prompt.

    Args:
        text: as generated.
        items: int64 positions among the items that it may name, likeliest first; none where no beams were asked for.
    """

    text: str
    items: np.ndarray = field(default_factory=_nothing)
