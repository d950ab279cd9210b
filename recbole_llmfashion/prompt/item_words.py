"""The words of an item as a query would have them: what the embedding of its token begins as (llm/item_rows.py).

Knows a tokenizer and texts, no model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recbole_llmfashion.prompt.ragged import Ragged


def item_words(
    tokenizer: Any, titles: Sequence[str], attributes: Mapping[str, Sequence[str]], names: Sequence[str]
) -> list[np.ndarray]:
    """Token ids of each item's title and attributes, int64, in lower case, as queries are typed.

    Args:
        tokenizer: the backbone's.
        titles: by catalogue position.
        attributes: by name, texts by catalogue position.
        names: which attributes count.
    """
    rows = [attributes[name] for name in names]
    texts = [" ".join([title, *(row[i] for row in rows if row[i])]) for i, title in enumerate(titles)]
    made = Ragged.tokenized(tokenizer, [f" {text.lower()}" for text in texts])
    return [ids.astype(np.int64) for ids in made]
