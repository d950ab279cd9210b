import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.retrieval.lists.id_list import IdList
from recbole_llmfashion.retrieval.mixup import mixup
from tests.helpers.orders import fixed_orders, full_order

LETTERS = "abcdefgh"


def order(text: str) -> list[int]:
    return [LETTERS.index(letter) for letter in text]


def letters(row: list[int]) -> str:
    return "".join(LETTERS[position] for position in row)


def mix(id_list: str, title_list: str, m: int, k: int, start: int) -> str:
    yes = torch.tensor([True])
    fallback = fixed_orders([order("".join(sorted(id_list, reverse=True)))])
    mixed = full_order(
        mixup(fixed_orders([order(id_list)]), fixed_orders([order(title_list)]), yes, yes, fallback, m, k, start)
    )
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
def test_mixup(id_list: str, title_list: str, m: int, k: int, start: int, expected: str) -> None:
    assert mix(id_list, title_list, m, k, start) == expected


def test_rows_without_id_or_title() -> None:
    ids = fixed_orders([order("afedcb")] * 4)
    titles = fixed_orders([order("bcadef")] * 4)
    fallback = fixed_orders([order("fedcba")] * 4)
    has_id = torch.tensor([True, False, True, False])
    has_title = torch.tensor([True, True, False, False])
    mixed = full_order(mixup(ids, titles, has_id, has_title, fallback, 1, 5, 1))
    assert [letters(row) for row in mixed.tolist()] == ["acdebf", "bcadef", "afedcb", "fedcba"]


def test_empty_batch() -> None:
    nothing, none = fixed_orders(torch.empty(0, 3, dtype=torch.int64)), torch.empty(0, dtype=torch.bool)
    assert full_order(mixup(nothing, nothing, none, none, nothing, 1, 10, 1)).shape == (0, 3)


@pytest.mark.parametrize(("m", "k", "start"), [(-1, 5, -1), (1, 0, 1), (2, 5, 1)])
def test_bad_settings(m: int, k: int, start: int) -> None:
    with pytest.raises(ValueError, match="mixup: expected m >= 0"):
        mix("ab", "ba", m, k, start)


def expected_mixup(id_list: list[int], title_list: list[int], m: int, k: int, start: int) -> list[int]:
    parts = id_list[:m] + title_list[start:k] + title_list[:start] + title_list[k:]
    return list(dict.fromkeys(parts))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(0, 11), st.integers(1, 12), st.booleans())
def test_mixup_equals_its_definition(seed: int, n: int, m: int, k: int, from_head: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    start = 0 if from_head else m

    def draw() -> Tensor:
        return torch.stack([torch.randperm(n, generator=generator) for _ in range(3)])

    ids, titles, fallback = draw(), draw(), draw()
    yes = torch.ones(3, dtype=torch.bool)
    mixed = full_order(
        mixup(fixed_orders(ids), fixed_orders(titles), yes, yes, fixed_orders(fallback), m, k, start)
    ).tolist()
    assert all(sorted(row) == list(range(n)) for row in mixed)
    assert mixed == [expected_mixup(i, t, m, k, start) for i, t in zip(ids.tolist(), titles.tolist(), strict=True)]


def test_id_embeddings_do_not_matter_at_m_1() -> None:
    """docs/method.md's note: at m = 1 the ID list is the generated ID, whatever CORE learned."""
    generator = np.random.default_rng(1)
    table = generator.normal(size=(30, 8)).astype(np.float32)
    tie = tie_rank([f"item{i}" for i in range(30)])
    items = torch.arange(5)
    titles = torch.stack([torch.from_numpy(generator.permutation(30)) for _ in range(5)])
    yes = torch.ones(5, dtype=torch.bool)

    def mixed(rows: np.ndarray, m: int) -> torch.Tensor:
        by_title = fixed_orders(titles)
        return full_order(mixup(IdList(rows, tie)(items), by_title, yes, yes, by_title, m, 10, m))

    shuffled = table[generator.permutation(30)]
    assert torch.equal(mixed(table, 1), mixed(shuffled, 1))
    assert not torch.equal(mixed(table, 3), mixed(shuffled, 3))
