"""The items of sequence files: a line per item in a text file, or one JSON object.

A line is an id, a space and a text, which is the title; or fields such as `title: ..; brand: ..; categories: ..`, as in
the item_plain_text.txt of IDGenRec (https://github.com/agiresearch/IDGenRec, src/utils/indexing.py) and of GRAM, which
has IDGenRec's files with a description (rec_datasets/README.md). The JSON object has a key per item, as in GRLM's
beauty.item.json (https://github.com/ZY0025/GRLM, in_domain/beauty/raw_data) and LC-Rec's: title, brand, categories.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_path, as_text
from recbole_llmfashion.dataset_tools.convert.readers.text_lines import read_lines
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json

# a description may have other words before a colon, so the fields are named
_FIELDS = (
    "title name brand categories category color size description price salesrank features feature city state stars"
)
_NAMES = {
    "title": ("title", "name"),
    "brand": ("brand",),
    "color": ("color",),
    "size": ("size",),
    "category": ("categories", "category"),
}
_NOTHING = ("na", "n/a", "unknown")


def read_items(
    path: Path, broken: BrokenLines, show_progress: bool = False, further: Collection[str] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (id, (title, brand, color, size, category, further fields)) in file order; a title may be empty.

    Args:
        path: a file that ends with .json is a JSON object, any other is lines of text.
        broken: counts broken lines.
        show_progress: whether to show a progress bar.
        further: names of fields.

    Raises:
        UserError: the file is missing or damaged.
    """
    if path.suffix == ".json":
        for item, fields in _json_object(path).items():
            broken.n_lines += 1
            if isinstance(fields, dict) and item.strip():
                yield item.strip(), _cells(fields, further)
            else:
                broken.add("an item whose value is no JSON object")
    else:
        for _, (item, text) in read_lines(path, broken, _line, "expected an id, a space and a text", show_progress):
            yield item, _cells(fields_of(text, further), further)


def fields_of(text: str, further: Collection[str] = ()) -> dict[str, str]:
    """The fields of a line by name, further names included; a text without fields is the title.

    >>> fields_of("title: red boots; brand: na; description: warm; note: dry")
    {'title': 'red boots', 'brand': 'na', 'description': 'warm; note: dry'}
    >>> fields_of("wawo 15 color makeup")
    {'title': 'wawo 15 color makeup'}
    """
    start, *parts = re.split(_pattern(tuple(further)), text)
    if start:
        return {"title": text}
    fields: dict[str, str] = {}
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        fields.setdefault(name, value.strip())
    return fields


@cache
def _pattern(further: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?:^|; ?)({'|'.join(map(re.escape, (*_FIELDS.split(), *further)))}): ?")


def _line(line: bytes) -> tuple[str, str] | None:
    try:
        item, _, text = line.decode("utf-8-sig").strip().partition(" ")
    except UnicodeDecodeError:
        return None
    return (item, text) if item and text else None


def _cells(fields: Mapping[str, Any], further: Collection[str]) -> tuple[str, ...]:
    cells = []
    for column, names in _NAMES.items():
        make = as_path if column == "category" else as_text
        text = next(filter(None, (make(fields.get(name)) for name in names)), "")
        cells.append("" if text.lower() in _NOTHING and column != "title" else text)
    return (*cells, *(as_text(fields.get(name)) for name in further))


def _json_object(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path.name}: not a JSON file ({error}); is this the right file?") from error
    if not isinstance(found, dict):
        raise UserError(f"{path.name}: expected an object with a key per item, found another value; check the file")
    return found
