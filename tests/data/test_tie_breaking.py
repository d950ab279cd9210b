import numpy as np

from recbole_llmfashion.data.tie_breaking import tie_rank


def test_tie_rank_is_a_permutation_that_does_not_depend_on_positions():
    tokens = [f"item{i}" for i in range(500)]
    ranks = tie_rank(tokens)
    assert sorted(ranks) == list(range(500))
    shuffled = np.random.default_rng(0).permutation(500)
    moved = tie_rank([tokens[i] for i in shuffled])
    assert np.array_equal(moved, ranks[shuffled])
    # it is not correlated with the order of the catalogue
    assert abs(np.corrcoef(ranks, np.arange(500))[0, 1]) < 0.15


def test_tie_rank_keeps_the_relative_order_in_a_smaller_catalogue():
    tokens = [f"item{i}" for i in range(50)]
    part = tokens[10:30]
    assert np.array_equal(np.argsort(tie_rank(part)), np.argsort(tie_rank(tokens)[10:30]))


def test_tie_rank():
    # the 8-byte BLAKE2b digests begin with 40, 84, 37
    assert tie_rank(["a", "b", "c"]).tolist() == [1, 2, 0]
    assert tie_rank([]).shape == (0,)
