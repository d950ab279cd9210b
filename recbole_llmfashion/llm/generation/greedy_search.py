"""Greedy decoding within a trie: the tokens of `generate` with a constraint, without what it does twice.

    row: prompt -> edges of the trie -> what every ID ends in -> free text -> end token

Where all rows have only one token left to say, they are fed as one chunk. Rows that have ended leave the batch. Knows
token ids and places in a trie; not prompts' shape, text or items.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.generation.prefill import PromptBatch


class _Rows:
    """Where each row of a batch stands.

    Attributes:
        out: int64 [B, T], what all rows have said, end tokens behind a row's end.
        item: int64 [B], the place of the sequence that a row has come down to, -1 before.
        place: int64 [A], which rows of the batch are still in the run.
        state, done: int64 and bool [A], of these.
    """

    def __init__(self, rows: int, steps: int, state: int, eos_id: int, trie: ItemTrie) -> None:
        device = trie.tokens.device
        self.trie, self.eos_id = trie, eos_id
        self.out = torch.full((rows, steps), eos_id, device=device)
        self.item = torch.full((rows,), -1, device=device)
        self.place = torch.arange(rows, device=device)
        self.state = torch.full((rows,), state, device=device)
        self.done = torch.zeros(rows, dtype=torch.bool, device=device)
        self.said = 0

    def _say(self, tokens: Tensor) -> Tensor:
        tokens = torch.where(self.done, self.eos_id, tokens)
        self.out[self.place, self.said] = tokens
        self.said += 1
        return tokens[:, None]

    def _follow(self, edges: Tensor, rows: Tensor) -> None:
        """Goes along the edges int64 [R] of these rows of the run, int64 [R]."""
        self.state[rows] = self.trie.children[edges].long()
        item = self.trie.leaf_item[edges].long()
        at = self.place[rows]
        self.item[at] = torch.where(item >= 0, item, self.item[at])

    def choose(self, logits: Tensor) -> Tensor:
        """The next token of each row by its logits [A, V]: int64 [A, 1]."""
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
        return self._say(tokens)

    def end(self, at_item: bool) -> None:
        """Marks the rows that have said the end token or, with at_item, have come down to one sequence."""
        ended = self.item[self.place] >= 0 if at_item else self.out[self.place, self.said - 1] == self.eos_id
        self.done = self.done | ended
        self.state[self.done] = ItemTrie.FREE

    def forced(self) -> list[Tensor]:
        """The tokens [A, 1] that follow while no row has a choice."""
        chunk: list[Tensor] = []
        while self.said < self.out.shape[1] and bool((self.trie.single(self.state) | self.done).all()):
            edges = self.trie.pointer[self.state.clamp(min=ItemTrie.ROOT)].long()
            chunk.append(self._say(self.trie.tokens[edges].long()))
            rows = (~self.done).nonzero()[:, 0]
            self._follow(edges[rows], rows)
        return chunk

    def keep(self) -> Tensor | None:
        """Takes the ended rows out once they are half of the run; the rows of the run that stay, None for all."""
        alive = (~self.done).nonzero()[:, 0]
        if 2 * len(alive) > len(self.done):
            return None
        self.place, self.state, self.done = self.place[alive], self.state[alive], self.done[alive]
        return alive


def greedy_search(
    run: PromptBatch,
    trie: ItemTrie,
    state: int,
    steps: int,
    eos_id: int,
    at_item: bool,
    on_text: Callable[[Tensor], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """The most likely allowed token at each step.

    Args:
        run: B prompts, with room for `steps` tokens.
        trie: what may follow, on the run's device.
        state: where in the trie all prompts end.
        steps: T, most tokens of a row.
        eos_id: ends a row; no token of the trie.
        at_item: whether a row also ends where only one sequence of the trie is left.
        on_text: told after each step what the rows have said so far, int64 [B, t].

    Returns:
        int64 [B, T] tokens, eos_id behind a row's end; int64 [B] the place of each row's sequence, -1 before it is
        known.

    Raises:
        RuntimeError: a row has no allowed token of finite score.
    """
    rows = _Rows(len(run), steps, state, eos_id, trie)
    logits = run.logits
    while rows.said < steps:
        chunk = [rows.choose(logits)]
        rows.end(at_item)
        if bool(rows.done.all()):
            break
        kept = rows.keep()
        if kept is not None:
            run.keep(kept)
            chunk = [tokens[kept] for tokens in chunk]
        chunk += rows.forced()
        if on_text is not None:
            on_text(rows.out[:, : rows.said])
        if rows.said < steps:
            logits = run.feed(torch.cat(chunk, 1))
    return rows.out, rows.item
