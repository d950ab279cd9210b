"""Ranking by the words that an item shares with the items of a user: title and attributes, without a text model.

    score(i) = sum over the last `history` items j of a user, newest first, age a from 0, of cos(i, j) / (1 + a)
    cos(i, j) of the unit vectors of idf(w) = log((N + 1) / (items with w + 1)) over the words w of each item

A word is letters, digits and "_" with their marks, such as the vowel signs of Hindi, or the dot that "İ" has in lower
case. A word of more than a tenth of the items does not count. Nothing is trained, so a new item has its place at once.
What the words mean is not known: a synonym is another word.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from scipy import sparse
from torch import Tensor

from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.retrieval.lists.neighbor_list import best_of_product, newest_first

COMMON = 0.1  # share of the items above which a word does not count


class WordList:
    """Ranks the items that share a word with the items of a user.

    Args:
        texts: of the M >= N items that users took, by position; the first N are ranked.
        tie: [N] int64, see `data.tie_breaking.tie_rank`.
        history: number of the newest items that count.
    """

    def __init__(self, texts: Sequence[str], tie: np.ndarray, history: int) -> None:
        self._words, self._tie, self.history = word_vectors(texts), tie, history
        self._items = self._words[: len(tie)].T.tocsr()

    def top(self, taken: Tensor, depth: int) -> Tensor:
        """[B, depth] positions by descending score, equal scores by tie rank, -1 behind them.

        Args:
            taken: [B, S] positions of each user's items, oldest first, -1 for none.
        """
        users = newest_first(taken, self.history, self._words.shape[0]) @ self._words
        return best_of_product(users, self._items, self._tie, depth)


def word_vectors(texts: Sequence[str]) -> sparse.csr_array:
    """Sparse [N, V] unit vectors of idf over the words of each text; a row without words that count is empty.

    >>> word_vectors(["red boot", "blue boot"] + 18 * [""]).shape  # "boot", of two of 20 items, counts
    (20, 3)
    """
    texts = [normalize_text(text) for text in texts]
    pattern = _word(texts)
    words = [sorted(set(pattern.findall(text))) for text in texts]
    number = {word: column for column, word in enumerate(sorted({word for row in words for word in row}))}
    column = np.asarray([number[word] for row in words for word in row], np.int64)
    row = np.repeat(np.arange(len(words)), [len(one) for one in words])
    holders = np.bincount(column, minlength=len(number))
    counts = holders[column] <= max(1.0, COMMON * len(texts))
    row, column = row[counts], column[counts]
    weights = np.log((len(texts) + 1) / (holders[column] + 1))
    norms = np.sqrt(np.bincount(row, weights**2, minlength=len(texts)))
    weights = np.divide(weights, norms[row], out=np.zeros_like(weights), where=norms[row] > 0)
    return sparse.coo_array((weights, (row, column)), shape=(len(texts), len(number))).tocsr()


def _word(texts: Sequence[str]) -> re.Pattern[str]:
    """The pattern of a word in these texts: that of `re` counts no mark as a part of a word.

    >>> _word(["नीले जूते"]).findall("नीले जूते, red")
    ['नीले', 'जूते', 'red']
    """
    letters = {letter for text in texts if not text.isascii() for letter in text}
    marks = "".join(sorted(letter for letter in letters if unicodedata.category(letter)[0] == "M"))
    return re.compile(rf"\w[\w{marks}]*")
