"""A constraint to the catalogue's IDs: a trie over token sequences, and a logits processor that walks it.

Knows token ids only: not which item a sequence names. Both are vectorized over the rows of a batch. The constraint
fails closed: where nothing is allowed it raises, and never lets everything through.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from recbole_llmfashion.errors import UserError


def _pad(sequences: Sequence[Sequence[int]], vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as a sorted matrix [N, D] padded with -1, and the place of each row in the input.

    Raises:
        UserError: an empty catalogue or sequence, or a token outside the vocabulary.
    """
    if not len(sequences):
        raise UserError("constrained decoding: the catalogue is empty; there is no ID to allow")
    lengths = np.asarray([len(sequence) for sequence in sequences])
    if lengths.min() == 0:
        raise UserError(f"constrained decoding: item {int(lengths.argmin())} has an ID without tokens")
    inside = np.arange(lengths.max())[None, :] < lengths[:, None]
    matrix = np.full(inside.shape, -1, np.int64)
    matrix[inside] = np.concatenate([np.asarray(sequence, np.int64) for sequence in sequences])
    if matrix[inside].min() < 0 or matrix.max() >= vocab_size:
        raise UserError(f"constrained decoding: an ID holds a token outside the vocabulary of {vocab_size}")
    order = np.lexsort(matrix.T[::-1])
    return matrix[order], order


def _refuse_prefixes(matrix: np.ndarray, order: np.ndarray) -> None:
    """In sorted order a sequence stands right before the first one that extends or repeats it."""
    above, below = matrix[:-1], matrix[1:]
    clash = ((above == below) | (above == -1)).all(1)
    if clash.any():
        i = int(clash.argmax())
        first, second = sorted((int(order[i]), int(order[i + 1])))
        same = bool((above[i] == below[i]).all())
        how = "have the same ID tokens" if same else "have IDs of which one begins the other"
        raise UserError(f"constrained decoding: items {first} and {second} {how}; rename one of them")


class IdTrie:
    """A trie in CSR form: the edges of all nodes, sorted by (node, token).

    Nodes are numbered level by level from ROOT. A leaf is no node: the edge into it leads to FREE, where everything is
    allowed.

    Args:
        pointer: int64 [nodes + 1], the edges of node n are pointer[n] to pointer[n + 1].
        tokens: int64 [edges].
        children: int64 [edges], a node or FREE.
        vocab_size: V.
        depth: tokens of the longest sequence.
    """

    ROOT: ClassVar[int] = 0
    FREE: ClassVar[int] = -1

    def __init__(self, pointer: Tensor, tokens: Tensor, children: Tensor, vocab_size: int, depth: int) -> None:
        self.pointer, self.tokens, self.children = pointer, tokens, children
        self.vocab_size, self.depth = vocab_size, depth
        parents = torch.repeat_interleave(torch.arange(len(pointer) - 1, device=pointer.device), pointer.diff())
        self._keys = parents * vocab_size + tokens

    @classmethod
    def build(cls, sequences: Sequence[Sequence[int]], vocab_size: int) -> "IdTrie":
        """A trie that allows exactly these sequences.

        Args:
            sequences: of each item, the tokens of its ID and of what always follows an ID.
            vocab_size: V, tokens are below it.

        Raises:
            UserError: no sequence, an empty one, two equal ones, one that begins another, or a token beyond V.
        """
        matrix, order = _pad(sequences, vocab_size)
        _refuse_prefixes(matrix, order)
        parent = np.zeros(len(matrix), np.int64)
        changed = np.zeros(len(matrix), bool)
        changed[0] = True
        nodes = 1
        parents, tokens, children = [], [], []
        for depth in range(matrix.shape[1]):
            column = matrix[:, depth]
            changed[1:] |= column[1:] != column[:-1]
            edges = np.flatnonzero(changed & (column >= 0))
            following = matrix[edges, depth + 1] if depth + 1 < matrix.shape[1] else np.full(len(edges), -1)
            inner = following >= 0
            child = np.where(inner, nodes + np.cumsum(inner) - 1, cls.FREE)
            parents.append(parent[edges])
            tokens.append(column[edges])
            children.append(child)
            nodes += int(inner.sum())
            # Rows of one edge lie together; ended rows keep a value that no later level reads.
            parent = child[np.maximum(np.searchsorted(edges, np.arange(len(matrix)), side="right") - 1, 0)]
        pointer = np.r_[0, np.cumsum(np.bincount(np.concatenate(parents), minlength=nodes))]
        as_tensors = [torch.from_numpy(a) for a in (pointer, np.concatenate(tokens), np.concatenate(children))]
        return cls(as_tensors[0], as_tensors[1], as_tensors[2], vocab_size, matrix.shape[1])

    def to(self, device: torch.device | str) -> "IdTrie":
        """The same trie on another device."""
        pointer, tokens, children = self.pointer.to(device), self.tokens.to(device), self.children.to(device)
        return IdTrie(pointer, tokens, children, self.vocab_size, self.depth)

    def allowed(self, states: Tensor) -> Tensor:
        """Which tokens may follow: states int64 [B] to bool [B, V]; every token in the FREE state."""
        free = states == self.FREE
        nodes = torch.where(free, self.ROOT, states)
        first = self.pointer[nodes]
        counts = torch.where(free, 0, self.pointer[nodes + 1] - first)
        rows = torch.repeat_interleave(torch.arange(len(states), device=states.device), counts)
        within = torch.arange(len(rows), device=states.device) - (counts.cumsum(0) - counts)[rows]
        result = free[:, None].repeat(1, self.vocab_size)
        result[rows, self.tokens[first[rows] + within]] = True
        return result

    def advance(self, states: Tensor, tokens: Tensor) -> Tensor:
        """The states after one more token: int64 [B] and [B] to [B]; FREE stays FREE.

        Raises:
            RuntimeError: a token that its state does not allow.
        """
        free = states == self.FREE
        wanted = states * self.vocab_size + tokens
        edge = torch.searchsorted(self._keys, wanted).clamp(max=len(self._keys) - 1)
        known = (self._keys[edge] == wanted) & (tokens >= 0) & (tokens < self.vocab_size)
        if not bool((known | free).all()):
            row = int((~(known | free)).nonzero()[0])
            raise RuntimeError(f"token {int(tokens[row])} is no edge of trie state {int(states[row])}")
        return torch.where(free, self.FREE, self.children[edge])


class TrieLogitsProcessor(LogitsProcessor):
    """Forbids what the trie does not allow; one object serves one call of `generate`, without beams.

    Args:
        trie: on the device of the scores. Each row starts at its root with the first token that is generated.
    """

    def __init__(self, trie: IdTrie) -> None:
        self.trie = trie
        self._states: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores [B, V'] with -inf at what is forbidden; tokens beyond the trie's V are allowed in FREE rows only.

        Raises:
            RuntimeError: a row inside the trie is left without a token of finite score.
        """
        if self._states is None:
            self._states = torch.full((len(input_ids),), IdTrie.ROOT, device=scores.device)
        else:
            self._states = self.trie.advance(self._states, input_ids[:, -1])
        free = self._states == IdTrie.FREE
        allowed = free[:, None].repeat(1, scores.shape[1])
        known = min(scores.shape[1], self.trie.vocab_size)
        allowed[:, :known] = self.trie.allowed(self._states)[:, :known]
        masked = scores.masked_fill(~allowed, -torch.inf)
        if not bool((masked.amax(1).isfinite() | free).all()):
            raise RuntimeError("constrained decoding: a row has no allowed token with a finite score")
        return masked
