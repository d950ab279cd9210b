"""Greedy decoding constrained by a trie for a GPU: no step copies anything to the host.

The tokens are those of `greedy_search`. That one looks at the rows after each token, feeds what is forced in one
forward and removes rows that have ended; on a CPU this is free. On a GPU each look waits for all queued work. Here the
host decides by what it knows without looking: the level of the trie, and that sequences of one length reach their
shared end together. It looks at the rows every CHECK_EVERY tokens, and once at the end for rows without a finite score.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.item_trie import ItemTrie

CHECK_EVERY = 8  # free text ends at most that many tokens too late


class _Rows:
    """The decoding state of all rows of a batch, on its device.

    Attributes:
        out: int64 [B, T] generated tokens, eos after the end of a row.
        length: tokens generated so far.
        item: int64 [B] index of the only sequence that a row can still become, -1 before that.
        state: int64 [B] their nodes in the trie.
        done: bool [B] whether they have ended.
        sound: bool [], whether every choice so far had a finite score.
    """

    def __init__(self, rows: int, steps: int, state: int, eos_id: int, trie: ItemTrie) -> None:
        device = trie.tokens.device
        self.trie, self.eos_id = trie, eos_id
        self.out = torch.full((rows, steps), eos_id, device=device)
        self.item = torch.full((rows,), -1, device=device)
        self.state = torch.full((rows,), state, device=device)
        self.done = torch.zeros(rows, dtype=torch.bool, device=device)
        self.sound = torch.ones((), dtype=torch.bool, device=device)
        self.length = 0

    def append(self, tokens: Tensor) -> Tensor:
        """Appends tokens int64 [B] and returns them, eos for rows that have ended, [B, 1]."""
        tokens = torch.where(self.done, self.eos_id, tokens)
        self.out[:, self.length] = tokens
        self.length += 1
        return tokens[:, None]

    def choose(self, logits: Tensor, width: int) -> Tensor:
        """Appends the best allowed token of each row, given logits [B, V]; `width` 0: all rows have left the trie."""
        if not width:
            return self.append(logits.argmax(1))
        inside = self.state != ItemTrie.FREE
        edges, finite = self.trie.best_edges(self.state, logits, width)
        self.sound = self.sound & (finite | ~inside).all()
        item = self.trie.leaf_item[edges].long()
        self.item = torch.where(inside & (item >= 0), item, self.item)
        self.state = torch.where(inside, self.trie.children[edges].long(), self.state)
        return self.append(torch.where(inside, self.trie.tokens[edges].long(), logits.argmax(1)))

    def end(self, at_item: bool) -> None:
        """Marks rows as done whose last token is eos or, with at_item, that can only become one sequence."""
        self.done = self.done | (self.item >= 0 if at_item else self.out[:, self.length - 1] == self.eos_id)
        self.state = self.state.masked_fill(self.done, ItemTrie.FREE)

    def follow_end(self) -> list[Tensor]:
        """Appends the suffix that all sequences share; returns it, int64 [B, 1] each."""
        tokens = self.trie.tokens[-self.trie.shared_end :].long() if self.trie.shared_end else self.out[0, :0]
        room = self.out.shape[1] - self.length
        chunk = [self.append(token.expand(len(self.out))) for token in tokens[:room]]
        self.state = torch.full_like(self.state, ItemTrie.FREE)
        return chunk


def device_search(
    batch: PromptBatch,
    trie: ItemTrie,
    state: int,
    steps: int,
    eos_id: int,
    at_item: bool,
    on_text: Callable[[Tensor], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Generates the most likely allowed token at each step; arguments, result and errors as `greedy_search`."""
    rows, logits = _Rows(len(batch), steps, state, eos_id, trie), batch.logits
    widths = [] if state == ItemTrie.FREE else trie.widths(state)
    # rows of an uneven trie go through its levels and the shared end at their own pace
    constrained = len(widths) + (0 if trie.even else trie.shared_end)
    while rows.length < steps:
        at = rows.length
        chunk = [rows.choose(logits, widths[at] if at < len(widths) else int(at < constrained))]
        rows.end(at_item)
        chosen = rows.length == len(widths)
        if (chosen and at_item) or (rows.length % CHECK_EVERY == 0 and bool(rows.done.all())):
            break
        if chosen and trie.even:
            chunk += rows.follow_end()
        if on_text is not None:
            on_text(rows.out[:, : rows.length])
        if rows.length < steps:
            logits = batch.feed(torch.cat(chunk, 1))
    if not bool(rows.sound):
        raise RuntimeError("constrained decoding: a row has no allowed token with a finite score")
    return rows.out, rows.item
