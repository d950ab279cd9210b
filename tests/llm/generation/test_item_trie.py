import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.item_trie import ItemTrie

# 0: 5 6 7;  1: 5 8 7;  2: 5 6 9 7;  3: 4 7
SEQUENCES = [[5, 6, 7], [5, 8, 7], [5, 6, 9, 7], [4, 7]]
ROOT, FREE = ItemTrie.ROOT, ItemTrie.FREE


def states(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def out_of(trie: ItemTrie, state: int) -> dict[int, tuple[int, int]]:
    """Token to (state after it, the only sequence below it)."""
    edges, inside = trie.edges(states(state))
    chosen = edges[inside]
    rows = zip(trie.children[chosen].tolist(), trie.leaf_item[chosen].tolist(), strict=True)
    return dict(zip(trie.tokens[chosen].tolist(), rows, strict=True))


def paths(trie: ItemTrie) -> dict[tuple[int, ...], int]:
    """Every path from the root to FREE, and the last leaf_item on it."""
    found, open_ = {}, [((), ROOT, -1)]
    while open_:
        path, state, item = open_.pop()
        if state == FREE:
            found[path] = item
            continue
        for token, (child, named) in out_of(trie, state).items():
            open_.append(((*path, token), child, named if named >= 0 else item))
    return found


def test_build() -> None:
    trie = ItemTrie.build(SEQUENCES, 10)
    assert (trie.depth, trie.levels, trie.size) == (4, 4, 4)
    four, five = out_of(trie, ROOT)[4], out_of(trie, ROOT)[5]
    assert list(out_of(trie, ROOT)) == [4, 5] and four[1] == 3 and five[1] == -1
    assert out_of(trie, four[0]) == {7: (FREE, 3)}
    six, eight = out_of(trie, five[0])[6], out_of(trie, five[0])[8]
    assert six[1] == -1 and eight[1] == 1 and out_of(trie, eight[0]) == {7: (FREE, 1)}
    nine = out_of(trie, six[0])[9]
    assert out_of(trie, six[0])[7] == (FREE, 0) and out_of(trie, nine[0]) == {7: (FREE, 2)}
    _, inside = trie.edges(states(ROOT, four[0]))
    assert inside.tolist() == [[True, True], [True, False]]
    assert trie.single(states(ROOT, four[0], FREE)).tolist() == [False, True, False]


def test_shared_suffix_is_stored_once() -> None:
    # equal lengths: the whole shared suffix; the edges are 4 5, 6 6 8 and 7 9
    even = ItemTrie.build([[4, 6, 7, 9], [5, 6, 7, 9], [5, 8, 7, 9]], 10)
    assert (even.levels, even.tail, len(even.tokens)) == (2, 3, 7)
    assert even.tokens.tolist() == [4, 5, 6, 6, 8, 7, 9]
    assert even.children.tolist() == [1, 2, 3, 3, 3, 4, FREE]
    assert even.leaf_item.tolist() == [0, -1, 0, 1, 2, -1, -1]
    # different lengths: 7 marks the end of 4 6 and distinguishes it from 4 6 8, so only 9 is removed
    ragged = ItemTrie.build([[4, 6, 7, 9], [4, 6, 8, 7, 9]], 10)
    assert (ragged.levels, ragged.nodes - ragged.tail) == (4, 1)
    assert paths(ragged) == {(4, 6, 7, 9): 0, (4, 6, 8, 7, 9): 1}
    # 7 occurs within an ID: without the suffix one sequence would be a prefix of the other
    within = ItemTrie.build([[4, 7, 9], [4, 7, 7, 9]], 10)
    assert within.nodes == within.tail and paths(within) == {(4, 7, 9): 0, (4, 7, 7, 9): 1}


def test_opening() -> None:
    assert ItemTrie.build(SEQUENCES, 10).opening() == ([], ROOT)
    assert ItemTrie.build([[4, 5, 6]], 10).opening() == ([4, 5, 6], FREE)
    tokens, state = ItemTrie.build([[4, 5, 6, 9], [4, 5, 7, 9]], 10).opening()
    assert tokens == [4, 5] and state == 2


@settings(max_examples=80, deadline=None)
@given(
    st.sets(st.lists(st.integers(0, 4), min_size=1, max_size=5).map(tuple), min_size=1, max_size=30),
    st.sampled_from([[5], [5, 6], [5, 6, 5], [5, 2]]),
)
def test_paths_are_the_sequences(bodies: set[tuple[int, ...]], end: list[int]) -> None:
    sequences = [[*body, *end] for body in sorted(bodies, key=hash)]
    assert paths(ItemTrie.build(sequences, 7)) == {tuple(sequence): i for i, sequence in enumerate(sequences)}


@pytest.mark.parametrize(
    ("sequences", "words"),
    [
        ([], "catalogue is empty"),
        ([[1], []], "the ID of item 1 has no tokens"),
        ([[1, 2], [3], [1, 2]], "item 0 and item 2 have the same"),
        ([[1, 2, 3], [3], [1, 2]], "the ID of item 2 is a prefix of the ID of item 0"),
        ([[1, 10]], "outside the vocabulary"),
        ([[1, -1]], "outside the vocabulary"),
    ],
)
def test_invalid_sequences(sequences: list[list[int]], words: str) -> None:
    with pytest.raises(UserError, match=words):
        ItemTrie.build(sequences, 10)


def test_messages_name_items() -> None:
    with pytest.raises(UserError, match="the ID of item 'A1' is a prefix of the ID of item 'A12'; rename one"):
        ItemTrie.build([[1, 2, 3], [3], [1, 2]], 10, names=["A12", "B", "A1"])


def test_choose() -> None:
    trie = ItemTrie.build(SEQUENCES, 10)
    five = out_of(trie, ROOT)[5][0]
    logits = torch.zeros(3, 12)  # a head padded beyond the tokenizer
    logits[:, 11] = 9.0
    logits[0, [4, 5]] = states(1, 2).float()
    logits[1, [6, 8]] = states(2, 1).float()
    logits[2, [6, 8]] = states(-5, -4).float()
    edges = trie.choose(states(ROOT, five, five), logits)
    assert trie.tokens[edges].tolist() == [5, 6, 8] and trie.leaf_item[edges].tolist() == [-1, -1, 1]


def test_choose_at_nodes_with_few_and_many_edges() -> None:
    """The shorter row of edges is padded with the first edge of all, whose token is the likeliest here."""
    trie = ItemTrie.build([[2, 5], [3, 6], [3, 7], [3, 8]], 10)
    two, three = (out_of(trie, ROOT)[token][0] for token in (2, 3))
    logits = torch.zeros(2, 10)
    logits[:, 2], logits[1, 7] = 9.0, 1.0
    edges = trie.choose(states(two, three), logits)
    assert trie.tokens[edges].tolist() == [5, 7] and trie.leaf_item[edges].tolist() == [0, 2]


def test_choose_among_tokens_with_gaps() -> None:
    """A node of whose tokens others lie between: its logits are no slice."""
    trie = ItemTrie.build([[2, 9], [4, 9], [7, 9]], 10)
    logits = torch.zeros(2, 10)
    logits[:, [3, 5, 6]] = 9.0  # not allowed
    logits[0, 4], logits[1, 7] = 1.0, 1.0
    edges = trie.choose(states(ROOT, ROOT), logits)
    assert trie.tokens[edges].tolist() == [4, 7] and trie.leaf_item[edges].tolist() == [1, 2]


@pytest.mark.parametrize("value", [-torch.inf, torch.nan])
def test_choose_raises_without_finite_score(value: float) -> None:
    scores = torch.zeros(2, 10)
    scores[1, [4, 5]] = value
    with pytest.raises(RuntimeError, match="no allowed token"):
        ItemTrie.build(SEQUENCES, 10).choose(states(ROOT, ROOT), scores)


def test_choose_raises_without_edges() -> None:
    pointer, token, child = torch.tensor([0, 0, 1]), torch.tensor([3]), torch.tensor([FREE])
    empty = ItemTrie(pointer, token, child, torch.tensor([0]), tail=2, vocab_size=10, depth=1, size=1)
    with pytest.raises(RuntimeError, match="no allowed token"):
        empty.choose(states(ROOT), torch.zeros(1, 10))


def test_twenty_thousand_ids() -> None:
    rng = torch.Generator().manual_seed(0)
    digits = torch.randperm(50 * 50 * 50, generator=rng)[:20_000]
    sequences = torch.stack(
        [digits // 2500, digits // 50 % 50 + 50, digits % 50 + 100, torch.full_like(digits, 150)], 1
    )
    trie = ItemTrie.build(sequences.numpy(), 200)
    state = torch.full((20_000,), ROOT)
    for depth in range(4):
        edges = trie.choose(state, torch.nn.functional.one_hot(sequences[:, depth], 200).float())
        assert torch.equal(trie.tokens[edges].long(), sequences[:, depth])
        state = trie.children[edges].long()
        if depth == 2:
            assert torch.equal(trie.leaf_item[edges].long(), torch.arange(20_000))
    assert bool((state == FREE).all())


def test_a_large_catalogue_stays_below_a_gigabyte() -> None:
    """IDs of eight tokens with short shared prefixes: bytes per item stay constant, and 1.4M items take under 1 GB."""
    rng = np.random.default_rng(0)
    sizes = {}
    for n in (5_000, 20_000):
        bodies = np.unique(rng.integers(0, 200, (n, 8)), axis=0)
        sequences = np.concatenate([bodies, np.full((len(bodies), 3), 201)], 1)
        sizes[n] = ItemTrie.build(sequences, 210).nbytes / len(bodies)
    assert sizes[20_000] < sizes[5_000] * 1.05
    assert 1_400_000 * sizes[20_000] < 1e9
