from collections.abc import Sequence

import numpy as np
import pytest
import torch

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.retrieval.cosine_table import CosineTable
from recbole_llmfashion.retrieval.id_list import IdList, SessionList
from recbole_llmfashion.retrieval.mixup import mixup
from recbole_llmfashion.retrieval.title_list import TitleList
from tests.helpers.orders import told, whole

TABLE = np.array([[2.0, 0.0], [0.0, 0.1], [3.0, 3.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
TIE = np.array([5, 4, 3, 2, 1, 0])


def test_id_list_literal() -> None:
    # cosines to row 0: 1, 0, .71, 1, 0, -1; a row of zeros (4) ties with the orthogonal one (1) and has the lower tie
    # cosines to row 2: .71, .71, 1, .71, 0, -.71
    orders = whole(IdList(TABLE, TIE)(torch.tensor([0, 2])))
    assert orders.tolist() == [[0, 3, 2, 4, 1, 5], [2, 3, 1, 0, 4, 5]]


def test_a_duplicate_row_never_passes_the_item_itself() -> None:
    table = np.repeat(np.random.default_rng(0).normal(size=(1, 7)).astype(np.float32), 40, axis=0)
    tie = tie_rank([f"item{i}" for i in range(40)])
    orders = whole(IdList(table, tie)(torch.arange(40)))
    assert orders[:, 0].tolist() == list(range(40))
    # the rest stand in tie order
    for item, row in enumerate(orders.tolist()):
        assert row[1:] == [i for i in np.argsort(tie).tolist() if i != item]


def test_no_id_still_gives_a_permutation() -> None:
    assert sorted(whole(IdList(TABLE, TIE)(torch.tensor([-1])))[0].tolist()) == [0, 1, 2, 3, 4, 5]


def test_title_list_literal_and_ties_of_equal_titles() -> None:
    vectors = {"boot": [1.0, 0.0], "sandal": [0.0, 1.0], "shoe": [0.6, 0.8]}

    def encoder(titles: Sequence[str]) -> np.ndarray:
        return np.array([vectors[title] for title in titles], np.float32).reshape(len(titles), 2)

    catalogue = ["sandal", "boot", "shoe", "boot"]
    ranked = TitleList(encoder(catalogue), encoder, np.array([0, 3, 1, 2]))
    assert whole(ranked(["boot", "shoe"])).tolist() == [[3, 1, 2, 0], [2, 0, 3, 1]]
    assert ranked([]).shape == (0, 4)


@pytest.mark.parametrize("b", [1, 2, 3, 16])
@pytest.mark.parametrize("d", [7, 24, 100])
def test_equal_rows_tie_exactly_wherever_they_stand(b: int, d: int) -> None:
    # in a plain matrix product equal rows differ in the last bit, by where they fall in its blocks
    generator = np.random.default_rng(3)
    vectors = np.repeat(generator.normal(size=(3, d)).astype(np.float32), 111, axis=0)
    shuffled, tie = generator.permutation(333), generator.permutation(333)
    queries = torch.from_numpy(generator.normal(size=(b, d)).astype(np.float32))
    for row in CosineTable(vectors[shuffled], tie).ranked(queries).top(333).tolist():
        assert (np.diff(tie[row].reshape(3, 111), axis=1) > 0).all()


def test_table_and_ties_must_fit() -> None:
    with pytest.raises(ValueError, match="6 rows but 5"):
        CosineTable(TABLE, TIE[:5])


def test_shuffling_the_id_table_changes_nothing_at_m_1() -> None:
    """docs/method.md's note: at m = 1 the ID list is the generated ID, whatever CORE learned."""
    generator = np.random.default_rng(1)
    table = generator.normal(size=(30, 8)).astype(np.float32)
    tie = tie_rank([f"item{i}" for i in range(30)])
    items = torch.arange(5)
    titles = torch.stack([torch.from_numpy(generator.permutation(30)) for _ in range(5)])
    yes = torch.ones(5, dtype=torch.bool)

    def mixed(rows: np.ndarray, m: int) -> torch.Tensor:
        by_title = told(titles)
        return whole(mixup(IdList(rows, tie)(items), by_title, yes, yes, by_title, m, 10, m))

    shuffled = table[generator.permutation(30)]
    assert torch.equal(mixed(table, 1), mixed(shuffled, 1))
    assert not torch.equal(mixed(table, 3), mixed(shuffled, 3))


def test_session_list_literal() -> None:
    # unit rows (1, 0), (0, 1), (.6, .8): items 0 and 1 mean (.5, .5), so 2 at .99 before the tie of 0 and 1
    ranked = SessionList(CosineTable(np.array([[2.0, 0.0], [0.0, 0.5], [3.0, 4.0]]), np.array([2, 1, 0])))
    # alone, 0 is followed by 2 (.6) and 1 (0); 1 by 2 (.8) and 0 (0)
    assert whole(ranked(torch.tensor([[0, 1], [0, -1], [-1, 1]]))).tolist() == [[2, 1, 0], [0, 2, 1], [1, 2, 0]]
    # what was done three times weighs three times: (3, 1) / 3.16 is 0 at .949, 2 at .822, 1 at .316
    assert whole(ranked(torch.tensor([[0, 0, 1, 0]]))).tolist() == [[0, 2, 1]]


def test_where_the_gaps_of_a_session_stand_does_not_matter() -> None:
    ranked = SessionList(CosineTable(TABLE, TIE))
    orders = whole(ranked(torch.tensor([[2, 3, -1, -1], [-1, 2, -1, 3], [3, -1, -1, 2]])))
    assert len({tuple(row) for row in orders.tolist()}) == 1
    assert sorted(whole(ranked(torch.tensor([[-1, -1]])))[0].tolist()) == [0, 1, 2, 3, 4, 5]
    assert ranked(torch.empty(2, 0, dtype=torch.long)).shape == (2, 6)  # a batch whose prompts show no item
    assert whole(ranked(torch.tensor([[4]]))).tolist() == [
        [5, 4, 3, 2, 1, 0]
    ]  # a row of zeros says nothing: the fixed order
