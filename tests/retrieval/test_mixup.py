import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recbole_llmfashion.retrieval.mixup import mixup
from tests.helpers.orders import told, whole

LETTERS = "abcdefgh"


def order(text: str) -> list[int]:
    return [LETTERS.index(letter) for letter in text]


def letters(row: list[int]) -> str:
    return "".join(LETTERS[position] for position in row)


def mix(id_list: str, title_list: str, m: int, k: int, start: int) -> str:
    yes = torch.tensor([True])
    fallback = told([order("".join(sorted(id_list, reverse=True)))])
    mixed = whole(mixup(told([order(id_list)]), told([order(title_list)]), yes, yes, fallback, m, k, start))
    return letters(mixed[0].tolist())


@pytest.mark.parametrize(
    ("id_list", "title_list", "m", "k", "start", "expected"),
    [
        ("afedcb", "bcadef", 1, 5, 1, "acdebf"),  # docs/method.md's example
        ("afedcb", "bcadef", 1, 5, 0, "abcdef"),  # the title list from its head
        ("afedcb", "bcadef", 2, 5, 2, "afdebc"),
        ("afedcb", "bcadef", 3, 4, 3, "afedbc"),
        ("afedcb", "bcadef", 0, 5, 0, "bcadef"),  # no ID at all: the title list
        ("afedcb", "bcadef", 1, 1, 1, "abcdef"),  # m >= k: title[m:k] is empty
        ("afedcb", "bcadef", 3, 2, 3, "afebcd"),
        ("afedcb", "bcadef", 1, 50, 1, "acdefb"),  # k > N
        ("afedcb", "bcadef", 9, 5, 9, "afedcb"),  # m > N: the ID list
        ("afedcb", "bcadef", 2, 4, 0, "afbcde"),
    ],
)
def test_literal_lists(id_list: str, title_list: str, m: int, k: int, start: int, expected: str) -> None:
    assert mix(id_list, title_list, m, k, start) == expected


def test_rows_of_each_kind_in_one_batch() -> None:
    ids = told([order("afedcb")] * 4)
    titles = told([order("bcadef")] * 4)
    fallback = told([order("fedcba")] * 4)
    has_id = torch.tensor([True, False, True, False])
    has_title = torch.tensor([True, True, False, False])
    mixed = whole(mixup(ids, titles, has_id, has_title, fallback, 1, 5, 1))
    assert [letters(row) for row in mixed.tolist()] == ["acdebf", "bcadef", "afedcb", "fedcba"]


def test_empty_batch() -> None:
    nothing, none = told(torch.empty(0, 3, dtype=torch.int64)), torch.empty(0, dtype=torch.bool)
    assert whole(mixup(nothing, nothing, none, none, nothing, 1, 10, 1)).shape == (0, 3)


@pytest.mark.parametrize(("m", "k", "start"), [(-1, 5, -1), (1, 0, 1), (2, 5, 1)])
def test_settings_that_mean_nothing_are_refused(m: int, k: int, start: int) -> None:
    with pytest.raises(ValueError, match="mixup wants"):
        mix("ab", "ba", m, k, start)


def by_the_book(id_list: list[int], title_list: list[int], m: int, k: int, start: int) -> list[int]:
    parts = id_list[:m] + title_list[start:k] + title_list[:start] + title_list[k:]
    return list(dict.fromkeys(parts))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(0, 11), st.integers(1, 12), st.booleans())
def test_equals_the_sentence_in_the_method(seed: int, n: int, m: int, k: int, from_head: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    start = 0 if from_head else m

    def draw() -> Tensor:
        return torch.stack([torch.randperm(n, generator=generator) for _ in range(3)])

    ids, titles, fallback = draw(), draw(), draw()
    yes = torch.ones(3, dtype=torch.bool)
    mixed = whole(mixup(told(ids), told(titles), yes, yes, told(fallback), m, k, start)).tolist()
    assert all(sorted(row) == list(range(n)) for row in mixed)
    assert mixed == [by_the_book(i, t, m, k, start) for i, t in zip(ids.tolist(), titles.tolist(), strict=True)]
