"""JSON that another program may have written."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Args:
        text: the whole text; bytes are UTF-8, UTF-16 or UTF-32.

    Raises:
        ValueError: the text is not JSON, or is nested too deeply for Python's reader, which raises RecursionError.

    >>> parse_json('{"item": "B001"}')
    {'item': 'B001'}
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
