"""Digests of training rows."""

import numpy as np

from recbole_llmfashion.model.recformer.examples import Examples
from recbole_llmfashion.model.recformer.flatten import flatten
from tests.helpers.recformer import Words


def rows_of(*titles):
    return flatten({"title": list(titles)}, Words(), 8)


def examples(histories, targets=(0, 1), users=(1, 2)):
    return Examples(np.array(users), [np.array(h, np.int64) for h in histories], np.array(targets))


def test_digest_does_not_depend_on_the_numbers_of_entries():
    first = examples([[0, 1], [2]]).sha256(rows_of("a", "b", "c"))
    # the same texts in another order; Words numbers tokens by appearance, so the order of `titles` gives the ids
    tokens = Words()
    tokens(["title", "a", "b", "c"])
    swapped = flatten({"title": ["b", "a", "c"]}, tokens, 8)
    assert examples([[1, 0], [2]]).sha256(swapped) == first


def test_digest_depends_on_all_fields():
    rows = rows_of("a", "b", "c")
    digests = {
        made.sha256(rows)
        for made in (
            examples([[0, 1], [2]]),
            examples([[0], [1, 2]]),
            examples([[1, 0], [2]]),
            examples([[0, 1], [2]], targets=(1, 0)),
            examples([[0, 1], [2]], users=(1, 3)),
        )
    }
    assert len(digests) == 5
    assert len(examples([[], []]).sha256(rows)) == 64
