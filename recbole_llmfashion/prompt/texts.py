"""One dataset as text models and prompts read it: cleaned titles and queries, and the fixed order that breaks ties.

It knows no model and no config, and not which rows train.
"""

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from recbole_llmfashion.data.tie_breaking import tie_rank

if TYPE_CHECKING:
    from recbole_llmfashion.data.dataset import LLMFashionRecDataset

UNTITLED = "untitled"  # stands for a title of which nothing is left
TEXT_LIMIT = 200  # characters of one cell of data that reach a prompt: beyond it a title is an attack or an accident


class DatasetTexts:
    """A dataset's words.

    Args:
        dataset: the whole dataset.

    Attributes:
        catalogue, log: its items and its searches.
        titles: by catalogue position; queries: by the log's query index.
        tie: [N] int64, see `data.fixed_order.tie_rank`.
    """

    def __init__(self, dataset: "LLMFashionRecDataset") -> None:
        self.dataset, self.catalogue, self.log = dataset, dataset.catalogue, dataset.search_log
        # what a response says is cleaned text, so the text models read cleaned text too
        self.titles = [sanitize(title) or UNTITLED for title in self.catalogue.titles]
        self.queries = [sanitize(query) for query in self.log.queries]
        self.tie = tie_rank(self.catalogue.item_ids)


def sanitize(text: str, special_tokens: Iterable[str] = (), joiner: str = " ", limit: int = TEXT_LIMIT) -> str:
    """Data as harmless text: one line, no control characters, no field bar, no special token of the tokenizer.

    Args:
        text: a cell of the data.
        special_tokens: strings that the tokenizer would turn into its own marks.
        joiner: what breaks such a string apart; ids take one without white space.
        limit: characters kept.
    """
    line = joiner.join(text.split())[:limit]
    if not line.isprintable():  # a printable text has no character of these categories, and most texts are printable
        line = "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cs"))
    line = line.replace("|", "/")
    for token in filter(str.strip, special_tokens):
        apart = token[0] + joiner + token[1:]
        broken = "" if len(token) == 1 or token in apart else apart
        while token in line:
            line = line.replace(token, broken)
    return joiner.join(line.split())
