"""A trie of the token sequences of all item IDs, which constrains decoding; vectorized over the rows of a batch.

A sequence is identified by its index. If no token is allowed the constraint raises; it never allows every token.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.errors import UserError


def _item(index: int, names: Sequence[str] | None) -> str:
    """How a message refers to an item."""
    return f"item '{names[index]}'" if names is not None else f"item {index}"


def _pad(
    sequences: Sequence[Sequence[int]], vocab_size: int, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as a sorted int32 matrix [N, D] padded with -1, and the input index of each row, int64 [N].

    Raises:
        UserError: an empty catalogue or sequence, or a token outside the vocabulary.
    """
    if not len(sequences):
        raise UserError("constrained decoding: the catalogue is empty; add items to the .item file")
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    if lengths.min() == 0:
        item = _item(int(lengths.argmin()), names)
        raise UserError(f"constrained decoding: the ID of {item} has no tokens; rename the item")
    inside = np.arange(lengths.max())[None, :] < lengths[:, None]
    matrix = np.full(inside.shape, -1, np.int32)
    matrix[inside] = np.fromiter(chain.from_iterable(sequences), np.int32, int(lengths.sum()))
    if matrix[inside].min() < 0 or matrix.max() >= vocab_size:
        raise UserError(f"constrained decoding: an ID has a token outside the vocabulary of {vocab_size} tokens")
    order = np.lexsort(matrix.T[::-1])
    return matrix[order], order


def _refuse_prefixes(matrix: np.ndarray, order: np.ndarray, names: Sequence[str] | None) -> None:
    """Raises a UserError if a sequence is a prefix of another: in sorted order the two are neighbours."""
    above, below = matrix[:-1], matrix[1:]
    clash = ((above == below) | (above == -1)).all(1)
    if clash.any():
        i = int(clash.argmax())
        first, second = int(order[i]), int(order[i + 1])
        if bool((above[i] == below[i]).all()):
            first, second = sorted((first, second))
            raise UserError(
                f"constrained decoding: {_item(first, names)} and {_item(second, names)} have the same ID tokens; "
                "rename one"
            )
        raise UserError(
            f"constrained decoding: the ID of {_item(first, names)} is a prefix of the ID of {_item(second, names)}; "
            "rename one"
        )


def _cut_tail(matrix: np.ndarray) -> np.ndarray:
    """Removes the suffix that all sequences share from the matrix and returns it.

    Each sequence keeps at least one token. If lengths differ, the first shared token marks the end of an ID and is
    kept. If it also occurs elsewhere nothing is removed, because a shortened sequence could be a prefix of another.
    """
    lengths = (matrix >= 0).sum(1)
    rows = np.arange(len(matrix))
    shared = 0
    while shared < lengths.min() - 1 and len(np.unique(matrix[rows, lengths - shared - 1])) == 1:
        shared += 1
    ragged = bool(lengths.min() < lengths.max())
    for cut in range(shared - ragged, 0, -1):
        if not ragged or (matrix == matrix[0, lengths[0] - cut - 1]).sum() == len(matrix):
            tail = matrix[0, lengths[0] - cut : lengths[0]].copy()
            matrix[np.arange(matrix.shape[1])[None, :] >= (lengths - cut)[:, None]] = -1
            return tail
    return matrix[0, :0]


class ItemTrie:
    """A trie in CSR form: the edges of all nodes, sorted by (node, token).

    Nodes are numbered level by level from ROOT. The suffix that all sequences share (the separator after an ID) is
    stored once, as a chain of nodes with one edge each after all other nodes. Its last edge leads to FREE, where every
    token is allowed.

    Args:
        pointer: int32 [nodes + 1], the edges of node n are pointer[n] to pointer[n + 1].
        tokens: int32 [edges].
        children: int32 [edges], a node or FREE.
        leaf_item: int32 [edges], index of the only sequence below the edge; -1 if there are several.
        tail: first node of the shared suffix; the number of nodes if there is none.
        vocab_size: V.
        depth: number of tokens of the longest sequence.
        size: N, number of sequences.
    """

    ROOT: ClassVar[int] = 0
    FREE: ClassVar[int] = -1

    def __init__(
        self,
        pointer: Tensor,
        tokens: Tensor,
        children: Tensor,
        leaf_item: Tensor,
        *,
        tail: int,
        vocab_size: int,
        depth: int,
        size: int,
    ) -> None:
        self.pointer, self.tokens, self.children, self.leaf_item = pointer, tokens, children, leaf_item
        self.tail, self.vocab_size, self.depth, self.size = tail, vocab_size, depth, size

    @classmethod
    def build(
        cls, sequences: Sequence[Sequence[int]], vocab_size: int, names: Sequence[str] | None = None
    ) -> "ItemTrie":
        """Builds a trie that allows exactly these sequences.

        Args:
            sequences: for each item, the tokens of its ID and of the separator after it.
            vocab_size: V; all tokens are below it.
            names: the IDs of the items, for messages.

        Raises:
            UserError: no sequences, an empty or repeated one, a prefix of another one, or a token that is not below V.

        >>> trie = ItemTrie.build([[5, 6, 9], [5, 7, 9], [8, 6, 9]], vocab_size=10)
        >>> trie.size, trie.depth, trie.levels
        (3, 3, 2)
        """
        matrix, order = _pad(sequences, vocab_size, names)
        _refuse_prefixes(matrix, order, names)
        depth = int(matrix.shape[1])
        end = _cut_tail(matrix)
        parents, tokens, children, leaf_item, nodes = _levels(matrix, order)
        last = np.arange(nodes + 1, nodes + len(end) + 1)
        last[-1:] = cls.FREE
        children[children == _LEAF] = nodes if len(end) else cls.FREE
        pointer = np.r_[0, np.cumsum(np.bincount(parents, minlength=nodes)), len(parents) + 1 + np.arange(len(end))]
        arrays = pointer, np.r_[tokens, end], np.r_[children, last], np.r_[leaf_item, np.full(len(end), -1)]
        tensors = [torch.from_numpy(array.astype(np.int32)) for array in arrays]
        return cls(*tensors, tail=nodes, vocab_size=vocab_size, depth=depth, size=len(sequences))

    def to(self, device: torch.device | str) -> "ItemTrie":
        """The same trie on another device."""
        arrays = (array.to(device) for array in (self.pointer, self.tokens, self.children, self.leaf_item))
        return ItemTrie(*arrays, tail=self.tail, vocab_size=self.vocab_size, depth=self.depth, size=self.size)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.pointer) - 1

    @property
    def levels(self) -> int:
        """Number of tokens of the longest sequence without the shared suffix."""
        return self.depth - (self.nodes - self.tail)

    @property
    def nbytes(self) -> int:
        """Size of its tensors in bytes."""
        return sum(array.nbytes for array in (self.pointer, self.tokens, self.children, self.leaf_item))

    @property
    def shared_end(self) -> int:
        """Number of tokens of the suffix that all sequences share."""
        return self.nodes - self.tail

    @cached_property
    def even(self) -> bool:
        """Whether all sequences have the same length."""
        inner = self.children[: len(self.children) - self.shared_end].cpu().numpy()
        leaves = (inner == self.FREE) | (inner >= self.tail)
        return not leaves[: int(self.pointer[self._levels[-1][0]])].any()

    @cached_property
    def _levels(self) -> list[tuple[int, int]]:
        """First node and most edges of a node, for each level above the shared suffix; read from the device once."""
        pointer, children = self.pointer.cpu().numpy(), self.children.cpu().numpy()
        levels: list[tuple[int, int]] = []
        first, stop = self.ROOT, 1
        while first < stop:
            levels.append((first, int(np.diff(pointer[first : stop + 1]).max())))
            below = children[pointer[first] : pointer[stop]]
            inner = below[(below >= 0) & (below < self.tail)]
            first, stop = stop, int(inner.max(initial=stop - 1)) + 1
        return levels

    def widths(self, state: int) -> list[int]:
        """Most edges of a node, for the level of this one and each one below it; none within the shared suffix."""
        return [width for first, width in self._levels if first >= state] if state < self.tail else []

    def edges(self, states: Tensor, width: int | None = None) -> tuple[Tensor, Tensor]:
        """The outgoing edges of nodes.

        Args:
            states: int64 [B] nodes, none FREE.
            width: E; None to take the largest number of edges, which is copied to the host.

        Returns:
            int64 [B, E] edges, where E is the largest number of edges of a node; bool [B, E], False at padding.
        """
        first = self.pointer[states].long()
        counts = self.pointer[states + 1] - first
        offsets = torch.arange(max(1, int(counts.max())) if width is None else width, device=states.device)
        inside = offsets < counts[:, None]
        return torch.where(inside, first[:, None] + offsets, 0), inside

    def best_edges(self, states: Tensor, logits: Tensor, width: int | None) -> tuple[Tensor, Tensor]:
        """The edges of `choose`, and whether each has a finite logit; with a width nothing is copied to the host.

        Args:
            states: int64 [B] nodes of at most `width` edges; the edge of a FREE one is arbitrary.
            logits: [B, V'].
            width: E, or None, as in `edges`.

        Returns:
            int64 [B] edges; bool [B].
        """
        edges, inside = self.edges(states.clamp(min=self.ROOT), width)
        scores = logits.gather(1, self.tokens[edges].long()).masked_fill(~inside, -torch.inf)
        best, column = scores.max(1)
        return edges.gather(1, column[:, None])[:, 0], best.isfinite()

    def choose(self, states: Tensor, logits: Tensor) -> Tensor:
        """The outgoing edge with the highest logit of each node.

        Args:
            states: int64 [B] nodes, none FREE.
            logits: [B, V'].

        Returns:
            int64 [B] edges.

        Raises:
            RuntimeError: a node has no allowed token with a finite score.
        """
        first, stop = int(self.pointer[states[0]]), int(self.pointer[states[0] + 1])
        # all rows at one node, such as the root, where a table of every row's edges would be large
        if first < stop and bool((states == states[:1]).all()):
            best, offset = self._scores_of(first, stop, logits).max(1)
            chosen, finite = first + offset, best.isfinite()
        else:
            chosen, finite = self.best_edges(states, logits, None)
        if not bool(finite.all()):
            raise RuntimeError("constrained decoding: a row has no allowed token with a finite score")
        return chosen

    def _scores_of(self, first: int, stop: int, logits: Tensor) -> Tensor:
        """[B, E] the logits of one node's edges; a view if their tokens are contiguous."""
        tokens = self.tokens[first:stop]
        low, high = int(tokens[0]), int(tokens[-1])
        return logits[:, low : high + 1] if high - low + 1 == len(tokens) else logits[:, tokens.long()]

    def single(self, states: Tensor) -> Tensor:
        """bool [B], whether exactly one token is allowed in each of the states int64 [B]; False for FREE."""
        nodes = states.clamp(min=self.ROOT)
        return (self.pointer[nodes + 1] - self.pointer[nodes] == 1) & (states != self.FREE)

    def opening(self) -> tuple[list[int], int]:
        """The prefix that all sequences share, and the state after it; the whole sequence if there is only one."""
        tokens: list[int] = []
        state = torch.tensor([self.ROOT], device=self.pointer.device)
        while bool(self.single(state)):
            edge = self.pointer[state].long()
            tokens.append(int(self.tokens[edge]))
            state = self.children[edge].long()
        return tokens, int(state)


_LEAF = -2  # placeholder until the number of nodes is known


def _levels(matrix: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Parents, tokens, children and leaf_item of all edges, and the number of nodes; leaves are marked _LEAF."""
    parent = np.zeros(len(matrix), np.int32)
    changed = np.zeros(len(matrix), bool)
    changed[0] = True
    nodes = 1
    levels: list[tuple[np.ndarray, ...]] = []
    for depth in range(matrix.shape[1]):
        column = matrix[:, depth]
        changed[1:] |= column[1:] != column[:-1]
        starts = np.flatnonzero(changed)
        alive = column[starts] >= 0
        edges, rows = starts[alive], np.diff(starts, append=len(matrix))[alive]
        following = matrix[edges, depth + 1] if depth + 1 < matrix.shape[1] else np.full(len(edges), -1, np.int32)
        inner = following >= 0
        child = np.where(inner, nodes + np.cumsum(inner) - 1, _LEAF).astype(np.int32)
        only = np.where(rows == 1, order[edges], -1).astype(np.int32)
        levels.append((parent[edges], column[edges], child, only))
        nodes += int(inner.sum())
        # rows of one edge are adjacent; ended rows keep a value that no later level reads
        group = np.zeros(len(matrix), np.int32)
        group[edges] = 1
        parent = child[np.maximum(np.cumsum(group, dtype=np.int32) - 1, 0)] if len(edges) else parent
    parents, tokens, children, leaf_item = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    return parents, tokens, children, leaf_item, nodes
