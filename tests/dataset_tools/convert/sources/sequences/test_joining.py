"""Windows of a sequence, whatever their width and order, give the sequence back."""

from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.dataset_tools.convert.sources.sequences.joining import Joined, join


@given(st.integers(2, 12), st.integers(1, 5))
def test_windows_of_distinct_items_in_order(length, width):
    whole = [str(number) for number in range(length)]
    sequence: list[str] = []
    for end in range(1, length):
        sequence, how = join(sequence, whole[max(0, end - width) : end + 1])
        assert how is Joined.longer
    assert sequence == whole


@given(st.integers(3, 10), st.randoms(use_true_random=False))
def test_overlapping_windows_in_any_order_that_connects_them(length, random):
    """Windows of three items: whichever comes first, one that overlaps it makes it longer at the right end."""
    whole = [str(number) for number in range(length)]
    left = [whole[start : start + 3] for start in range(length - 2)]
    random.shuffle(left)
    sequence = left.pop()
    while left:
        near = next(window for window in left if set(window) & set(sequence))
        left.remove(near)
        sequence, how = join(sequence, near)
        assert how in (Joined.longer, Joined.inside)
    assert sequence == whole


def test_by_hand():
    assert join([], ["a", "b"]) == (["a", "b"], Joined.longer)
    assert join(["b"], ["a", "b", "c"]) == (["a", "b", "c"], Joined.longer)
    assert join(["a", "b", "c"], ["a", "b"]) == (["a", "b", "c"], Joined.inside)
    assert join(["a", "a"], ["a", "a", "a"]) == (["a", "a", "a"], Joined.longer)
    assert join(["a", "b"], ["b", "a"]) == (["a", "b", "a"], Joined.longer)  # later where either order is as short
    assert join(["a", "b"], ["c", "d"]) == (["a", "b", "c", "d"], Joined.apart)
