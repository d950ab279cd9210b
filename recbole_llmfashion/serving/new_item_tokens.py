"""What names the items of a stock to the LLM where their IDs as text do not: the tokens of items that come later.

A token, once given, stays with its item, gone or not, and is never another item's: one that was clicked and removed is
still read in a prompt. Rows that were trained stay as they are; tokens that no other item has had have theirs made from
words. This module grows an index and says which rows are missing; writing them into the model is the caller's.
"""

from dataclasses import replace

import numpy as np

from recbole_llmfashion.pipeline.item_pool import ItemPool
from recbole_llmfashion.pipeline.load import LoadedRun
from recbole_llmfashion.prompt.item_tokens import ItemTokens, item_words, more_atomic_tokens, more_semantic_tokens


def more_names(run: LoadedRun, index: ItemTokens, before: ItemPool, after: ItemPool) -> tuple[ItemTokens, np.ndarray]:
    """The index of a stock that `with_items` made, and the tokens whose rows are to be made from its words.

    Args:
        run: what the index was loaded with.
        index: of `before`.
        before, after: the stock without and with the items.

    Returns:
        the index over all items of `after`; int64 ids of the tokens that, of all items, only those which came or came
        back have, and none that was trained has.
    """
    known, live = len(before.live), np.zeros(len(after.live), bool)
    live[:known] = before.live
    came = np.flatnonzero(after.live & ~live)
    grown = index
    if len(after.live) > known and run.codes is not None:
        grown = more_semantic_tokens(index, run.codes.encode(after.title[known:]))
    elif len(after.live) > known:
        grown = more_atomic_tokens(index, len(after.live) - known)
    grown = replace(grown, words=_words(run, index, after, came))
    others = set(range(len(after.live))) - set(came.tolist())
    had = [*(run.index.ids if run.index else ()), *(grown.ids[i] for i in others)]
    return grown, np.setdiff1d(_tokens([grown.ids[i] for i in came.tolist()]), _tokens(had))


def _tokens(ids: list[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate([*ids, np.zeros(0, np.int64)])).astype(np.int64)


def _words(run: LoadedRun, index: ItemTokens, pool: ItemPool, came: np.ndarray) -> list[np.ndarray]:
    """The words of all items, those of `came` read anew."""
    columns = {name: [texts[i] for i in came] for name, texts in pool.catalogue.attributes.items()}
    made = item_words(run.tokenizer, [pool.titles[i] for i in came], columns, run.prompt.attributes)
    words = dict(enumerate(index.words)) | dict(zip(came.tolist(), made, strict=True))
    return [words[i] for i in range(len(pool.live))]
