"""Heads and counts by tiles against a sort of everything; scores are whole numbers, so they are equal in any order."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.scored_order import ScoredOrder, WholeTable
from recbole_llmfashion.retrieval.ties import head_by_score, order_by_score
from tests.helpers.orders import full_order


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 14), st.integers(1, 4), st.integers(0, 15))
def test_head_equals_head_of_the_sorted_scores(seed: int, n: int, levels: int, k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores, tie = torch.randint(levels, (3, n), generator=generator).float(), torch.randperm(n, generator=generator)
    assert torch.equal(head_by_score(scores, tie, k), order_by_score(scores, tie)[:, :k])
    assert torch.equal(full_order(ScoredOrder(WholeTable(tie), scores)), order_by_score(scores, tie))
