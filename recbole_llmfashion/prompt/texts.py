"""Cleaned titles and queries of a dataset, and the cleaning itself."""

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from recbole_llmfashion.data.tie_breaking import tie_rank

if TYPE_CHECKING:
    from recbole_llmfashion.data.dataset import LLMFashionRecDataset

UNTITLED = "untitled"  # replaces a title that is empty after cleaning
TEXT_LIMIT = 200  # characters of a cell that are used: a longer title is an attack or a mistake


class DatasetTexts:
    """The texts of a dataset.

    Args:
        dataset: the whole dataset.

    Attributes:
        catalogue, log: the dataset's items and searches.
        titles: cleaned titles by catalogue position.
        queries: cleaned queries by query index.
        tie: [N] int64, the fixed order of items, see `data.tie_breaking.tie_rank`.
    """

    def __init__(self, dataset: "LLMFashionRecDataset") -> None:
        self.dataset, self.catalogue, self.log = dataset, dataset.catalogue, dataset.search_log
        # responses contain cleaned text, so the text models read cleaned text too
        self.titles = clean_titles(self.catalogue.titles)
        self.queries = [sanitize(query) for query in self.log.queries]
        self.tie = tie_rank(self.catalogue.item_ids)


def clean_titles(titles: Iterable[str], special_tokens: Iterable[str] = ()) -> list[str]:
    """Item titles as every part of the package reads them: one line, never empty.

    >>> clean_titles(["Red\\nboots", " "])
    ['Red boots', 'untitled']
    """
    marks = tuple(special_tokens)
    return [sanitize(title, marks) or UNTITLED for title in titles]


def sanitize(text: str, special_tokens: Iterable[str] = (), joiner: str = " ", limit: int = TEXT_LIMIT) -> str:
    """Makes text from the data safe for a prompt: one line without control characters, "|" and special tokens.

    Args:
        text: a cell of the data.
        special_tokens: strings that the tokenizer would read as special tokens; they are split.
        joiner: replaces white space and splits special tokens; "_" for IDs.
        limit: maximum number of characters.

    >>> sanitize("Red|boots\\n<eos> new", special_tokens=["<eos>"])
    'Red/boots < eos> new'
    """
    line = joiner.join(text.split())[:limit]
    if not line.isprintable():  # the loop is slow, and a printable text has no character of these categories
        line = "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cs"))
    line = line.replace("|", "/")
    for token in filter(str.strip, special_tokens):
        apart = token[0] + joiner + token[1:]
        broken = "" if len(token) == 1 or token in apart else apart
        while token in line:
            line = line.replace(token, broken)
    return joiner.join(line.split())
