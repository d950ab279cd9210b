"""Item tokens of items that are added after training (`item_tokens: atomic` and `semantic`).

A token belongs to one item forever, also after the item is removed, because prompts still show removed items that a
customer clicked. Trained embedding rows do not change. A token that no trained or present item uses gets an embedding
computed from the words of its item. This module extends the item tokens and returns the ids of the rows to initialize;
the caller writes these rows into the model.
"""

from dataclasses import replace

import numpy as np

from recbole_llmfashion.pipeline.item_pool import ItemPool
from recbole_llmfashion.pipeline.load import LoadedRun
from recbole_llmfashion.prompt.item_tokens import ItemTokens, item_words, more_atomic_tokens, more_semantic_tokens
from recbole_llmfashion.prompt.texts import clean_titles


def extend_item_tokens(
    run: LoadedRun, index: ItemTokens, before: ItemPool, after: ItemPool
) -> tuple[ItemTokens, np.ndarray]:
    """Item tokens of a pool returned by `ItemPool.with_items`, and the tokens that need an embedding.

    Args:
        run: the loaded run.
        index: item tokens of `before`.
        before: the pool without the new items.
        after: the pool with them.

    Returns:
        the item tokens of all items in `after`; int64 ids of the tokens that only added or re-added items use and that
        were not trained.
    """
    n_before, live = len(before.live), np.zeros(len(after.live), bool)
    live[:n_before] = before.live
    added = np.flatnonzero(after.live & ~live)
    extended = index
    if len(after.live) > n_before and run.codes is not None:
        extended = more_semantic_tokens(index, run.codes.encode(after.title[n_before:]))
    elif len(after.live) > n_before:
        extended = more_atomic_tokens(index, len(after.live) - n_before)
    extended = replace(extended, words=_words(run, index, after, added))
    others = set(range(len(after.live))) - set(added.tolist())
    used = [*(run.item_tokens.ids if run.item_tokens else ()), *(extended.ids[i] for i in others)]
    return extended, np.setdiff1d(_unique([extended.ids[i] for i in added.tolist()]), _unique(used))


def _unique(ids: list[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate([*ids, np.zeros(0, np.int64)])).astype(np.int64)


def _words(run: LoadedRun, index: ItemTokens, pool: ItemPool, added: np.ndarray) -> list[np.ndarray]:
    """Word ids of all items; those of `added` are tokenized again."""
    columns = {name: [texts[i] for i in added] for name, texts in pool.catalogue.attributes.items()}
    titles = clean_titles(pool.catalogue.titles[i] for i in added)  # `pool.titles` would clean those of all items
    added_words = item_words(run.tokenizer, titles, columns, run.prompt.attributes)
    words = dict(enumerate(index.words)) | dict(zip(added.tolist(), added_words, strict=True))
    return [words[i] for i in range(len(pool.live))]
