import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.constrain import IdTrie, TrieLogitsProcessor

# 0: 5 6 7;  1: 5 8 7;  2: 5 6 9 7;  3: 4 7
SEQUENCES = [[5, 6, 7], [5, 8, 7], [5, 6, 9, 7], [4, 7]]
ROOT, FREE = IdTrie.ROOT, IdTrie.FREE


def states(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def tokens_of(row: torch.Tensor) -> list[int]:
    return row.nonzero().flatten().tolist()


def test_a_trie_by_hand() -> None:
    trie = IdTrie.build(SEQUENCES, 10)
    assert trie.depth == 4
    assert tokens_of(trie.allowed(states(ROOT))[0]) == [4, 5]
    four, five = trie.advance(states(ROOT, ROOT), states(4, 5)).tolist()
    allowed = trie.allowed(states(FREE, four, five))
    assert [tokens_of(row) for row in allowed] == [list(range(10)), [7], [6, 8]]
    after = trie.advance(states(four, five, five), states(7, 6, 8))
    assert after[0] == FREE
    assert [tokens_of(row) for row in trie.allowed(after[1:])] == [[7, 9], [7]]
    assert trie.advance(after, states(3, 7, 7)).tolist() == [FREE, FREE, FREE]
    nine = trie.advance(after[1:2], states(9))
    assert tokens_of(trie.allowed(nine)[0]) == [7] and trie.advance(nine, states(7)).tolist() == [FREE]


@settings(max_examples=80, deadline=None)
@given(st.sets(st.lists(st.integers(0, 4), min_size=1, max_size=5).map(tuple), min_size=1, max_size=30))
def test_a_trie_holds_exactly_its_sequences(bodies: set[tuple[int, ...]]) -> None:
    sequences = [[*body, 5] for body in sorted(bodies, key=hash)]
    trie = IdTrie.build(sequences, 6)
    walked, paths = set(), [((), ROOT)]
    while paths:
        path, state = paths.pop()
        if state == FREE:
            walked.add(path)
            continue
        for token in tokens_of(trie.allowed(states(state))[0]):
            paths.append(((*path, token), int(trie.advance(states(state), states(token)))))
    assert walked == {tuple(sequence) for sequence in sequences}


@pytest.mark.parametrize(
    ("sequences", "words"),
    [
        ([], "catalogue is empty"),
        ([[1], []], "item 1 has an ID without tokens"),
        ([[1, 2], [3], [1, 2]], "items 0 and 2 have the same"),
        ([[1, 2, 3], [3], [1, 2]], "items 0 and 2 .* begins the other"),
        ([[1, 10]], "outside the vocabulary"),
        ([[1, -1]], "outside the vocabulary"),
    ],
)
def test_what_cannot_be_a_trie_is_refused(sequences: list[list[int]], words: str) -> None:
    with pytest.raises(UserError, match=words):
        IdTrie.build(sequences, 10)


@pytest.mark.parametrize("token", [0, 6, 9, -1, 10, 15])
def test_an_unknown_edge_raises(token: int) -> None:
    trie = IdTrie.build(SEQUENCES, 10)
    with pytest.raises(RuntimeError, match="no edge"):
        trie.advance(states(ROOT, FREE), states(token, 2))


def test_the_processor_follows_each_row_and_leaves_free_rows_alone() -> None:
    process = TrieLogitsProcessor(IdTrie.build(SEQUENCES, 10))
    scores = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))  # a head padded beyond the tokenizer
    prompt = states(1, 2, 3).repeat(2, 1)
    first = process(prompt, scores)
    assert [tokens_of(row.isfinite()) for row in first] == [[4, 5], [4, 5]]
    second = process(torch.cat([prompt, states(4, 5)[:, None]], 1), scores)
    assert [tokens_of(row.isfinite()) for row in second] == [[7], [6, 8]]
    third = process(torch.cat([prompt, states(4, 5)[:, None], states(7, 6)[:, None]], 1), scores)
    assert torch.equal(third[0], scores[0])
    assert tokens_of(third[1].isfinite()) == [7, 9] and third[1, 7] == scores[1, 7]


@pytest.mark.parametrize("value", [-torch.inf, torch.nan])
def test_the_processor_fails_closed(value: float) -> None:
    process = TrieLogitsProcessor(IdTrie.build(SEQUENCES, 10))
    scores = torch.zeros(2, 10)
    scores[1, [4, 5]] = value
    with pytest.raises(RuntimeError, match="no allowed token"):
        process(torch.zeros(2, 1, dtype=torch.long), scores)


def test_a_state_without_edges_fails_closed() -> None:
    empty = IdTrie(torch.tensor([0, 0, 1]), torch.tensor([3]), torch.tensor([FREE]), 10, 1)
    with pytest.raises(RuntimeError, match="no allowed token"):
        TrieLogitsProcessor(empty)(torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 10))


def test_twenty_thousand_ids_are_built_and_walked() -> None:
    rng = torch.Generator().manual_seed(0)
    digits = torch.randperm(50 * 50 * 50, generator=rng)[:20_000]
    sequences = torch.stack(
        [digits // 2500, digits // 50 % 50 + 50, digits % 50 + 100, torch.full_like(digits, 150)], 1
    )
    trie = IdTrie.build(sequences.numpy(), 200)
    state = torch.full((20_000,), ROOT)
    for depth in range(4):
        assert bool(trie.allowed(state[:64])[torch.arange(64), sequences[:64, depth]].all())
        state = trie.advance(state, sequences[:, depth])
    assert bool((state == FREE).all())
