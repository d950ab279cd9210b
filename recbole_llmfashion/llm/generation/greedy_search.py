"""Greedy decoding constrained by a trie.

The tokens are those of `generate` with `prefix_allowed_tokens_fn`; the shared prefix of the prompts is computed once.

    a row: prompt -> edges of the trie -> suffix of every ID -> free text -> end token

While every row has exactly one allowed token, the tokens are collected and fed in one forward. Rows that have ended
are removed from the batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.item_trie import ItemTrie


class _Rows:
    """The decoding state of each row of a batch.

    Attributes:
        out: int64 [B, T] generated tokens, eos after the end of a row.
        length: tokens generated so far.
        item: int64 [B] index of the only sequence that a row can still become, -1 before that.
        active: int64 [A] the rows that are still in the batch.
        state: int64 [A] their nodes in the trie.
        done: bool [A] whether they have ended.
    """

    def __init__(self, rows: int, steps: int, state: int, eos_id: int, trie: ItemTrie) -> None:
        device = trie.tokens.device
        self.trie, self.eos_id = trie, eos_id
        self.out = torch.full((rows, steps), eos_id, device=device)
        self.item = torch.full((rows,), -1, device=device)
        self.active = torch.arange(rows, device=device)
        self.state = torch.full((rows,), state, device=device)
        self.done = torch.zeros(rows, dtype=torch.bool, device=device)
        self.length = 0

    def _append(self, tokens: Tensor) -> Tensor:
        tokens = torch.where(self.done, self.eos_id, tokens)
        self.out[self.active, self.length] = tokens
        self.length += 1
        return tokens[:, None]

    def _follow(self, edges: Tensor, rows: Tensor) -> None:
        """Moves the active rows `rows`, int64 [R], along their edges, int64 [R]."""
        self.state[rows] = self.trie.children[edges].long()
        item = self.trie.leaf_item[edges].long()
        at = self.active[rows]
        self.item[at] = torch.where(item >= 0, item, self.item[at])

    def choose(self, logits: Tensor) -> Tensor:
        """Appends the best allowed token of each row, given logits [A, V]; returns int64 [A, 1]."""
        rows = (self.state != ItemTrie.FREE).nonzero()[:, 0]
        if not len(rows):
            tokens = logits.argmax(1)
        elif len(rows) == len(logits):
            edges = self.trie.choose(self.state, logits)
            tokens = self.trie.tokens[edges].long()
            self._follow(edges, rows)
        else:
            edges = self.trie.choose(self.state[rows], logits[rows])
            tokens = logits.argmax(1)
            tokens[rows] = self.trie.tokens[edges].long()
            self._follow(edges, rows)
        return self._append(tokens)

    def end(self, at_item: bool) -> None:
        """Marks rows as done whose last token is eos or, with at_item, that can only become one sequence."""
        ended = self.item[self.active] >= 0 if at_item else self.out[self.active, self.length - 1] == self.eos_id
        self.done = self.done | ended
        self.state[self.done] = ItemTrie.FREE

    def forced(self) -> list[Tensor]:
        """Appends tokens while every row has only one allowed token; returns them, int64 [A, 1] each."""
        chunk: list[Tensor] = []
        while self.length < self.out.shape[1] and bool((self.trie.single(self.state) | self.done).all()):
            edges = self.trie.pointer[self.state.clamp(min=ItemTrie.ROOT)].long()
            chunk.append(self._append(self.trie.tokens[edges].long()))
            rows = (~self.done).nonzero()[:, 0]
            self._follow(edges[rows], rows)
        return chunk

    def keep(self) -> Tensor | None:
        """Removes the rows that are done if they are at least half; returns the remaining ones, or None."""
        alive = (~self.done).nonzero()[:, 0]
        if 2 * len(alive) > len(self.done):
            return None
        self.active, self.state, self.done = self.active[alive], self.state[alive], self.done[alive]
        return alive


def greedy_search(
    batch: PromptBatch,
    trie: ItemTrie,
    state: int,
    steps: int,
    eos_id: int,
    at_item: bool,
    on_text: Callable[[Tensor], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Generates the most likely allowed token at each step.

    Args:
        batch: B prompts, with room for `steps` tokens.
        trie: the allowed sequences, on the device of the batch.
        state: node of the trie that all prompts have reached.
        steps: T, maximum number of tokens per row.
        eos_id: ends a row; not a token of the trie.
        at_item: whether a row also ends once only one sequence of the trie is possible.
        on_text: called after each step with the tokens so far, int64 [B, t].

    Returns:
        int64 [B, T] tokens, eos_id after the end of a row; int64 [B] index of each row's sequence, -1 if undecided.

    Raises:
        RuntimeError: a row has no allowed token with a finite score.
    """
    rows = _Rows(len(batch), steps, state, eos_id, trie)
    logits = batch.logits
    while rows.length < steps:
        chunk = [rows.choose(logits)]
        rows.end(at_item)
        if bool(rows.done.all()):
            break
        kept = rows.keep()
        if kept is not None:
            batch.keep(kept)
            chunk = [tokens[kept] for tokens in chunk]
        chunk += rows.forced()
        if on_text is not None:
            on_text(rows.out[:, : rows.length])
        if rows.length < steps:
            logits = batch.feed(torch.cat(chunk, 1))
    return rows.out, rows.item
