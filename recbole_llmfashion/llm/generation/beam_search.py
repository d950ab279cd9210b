"""Beam search over a trie: the most likely sequences after each prompt, with their log-probabilities.

The beams of a prompt form a tree after the prompt (`PromptBatch.branch`), so the prompt's keys and values are computed
once and never copied. The code is vectorized over rows, beams and edges.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.item_trie import ItemTrie


@dataclass
class _Level:
    """The beams of all rows after one more token, best first.

    Args:
        state: int64 [B, W] node of the trie; arbitrary for an ended beam.
        score: float32 [B, W] log-probability, -inf where a row has fewer than W beams.
        item: int64 [B, W] index of the completed sequence, -1 before completion.
        ended: bool [B, W], whether the beam is complete.
        ancestors: bool [B, W, C], which of the row's C tree tokens belong to the beam.
        token: int64 [B, W] last token.
    """

    state: Tensor
    score: Tensor
    item: Tensor
    ended: Tensor
    ancestors: Tensor
    token: Tensor


def _root_level(rows: int, device: torch.device) -> _Level:
    zeros = torch.zeros(rows, 1, dtype=torch.long, device=device)
    none = torch.zeros(rows, 1, 0, dtype=torch.bool, device=device)
    return _Level(zeros + ItemTrie.ROOT, zeros.float(), zeros - 1, zeros.bool(), none, zeros)


class _Checks:
    """What must hold in each step, checked at once on a CPU and after the last step elsewhere."""

    def __init__(self, at_once: bool) -> None:
        self.at_once = at_once
        self._kept: list[tuple[Tensor, str]] = []

    def add(self, holds: Tensor, message: str) -> None:
        """Raises a RuntimeError unless `holds`, bool []."""
        self._kept.append((holds, message))
        if self.at_once:
            self.run()

    def run(self) -> None:
        """Raises the error of the first check that does not hold."""
        kept, self._kept = self._kept, []
        for holds, message in kept:
            if not bool(holds):
                raise RuntimeError(f"constrained decoding: {message}")


def _extend(level: _Level, trie: ItemTrie, logits: Tensor, count: int, widest: int | None, checks: _Checks) -> _Level:
    """The best `count` continuations given the logits [B, W, V] after each beam; an ended beam stays as it is.

    `widest` is the largest number of edges of a node of this level; None to look it up in the rows.
    """
    rows, width = level.state.shape
    flat, inside = trie.edges(level.state.flatten(), widest)
    edges, inside = flat.view(rows, width, -1), inside.view(rows, width, -1)
    live = inside & ~level.ended[:, :, None]
    checks.add((live.any(2) | level.ended).all(), "a beam has no allowed token")
    logits = logits.float()
    gain = logits.gather(2, trie.tokens[edges].long()) - logits.logsumexp(2, keepdim=True)
    checks.add((gain.isfinite() | ~live).all(), "an allowed token has no finite score")
    total = (level.score[:, :, None] + gain).masked_fill(~live, -torch.inf)
    total[:, :, 0] = torch.where(level.ended, level.score, total[:, :, 0])
    score, best = total.flatten(1).topk(min(count, total[0].numel()))
    parent = best // edges.shape[2]
    edge = edges.flatten(1).gather(1, best)
    had_ended, missing = level.ended.gather(1, parent), score == -torch.inf
    child = trie.children[edge].long()
    leaf = ((child == ItemTrie.FREE) | (child >= trie.tail)) & ~had_ended & ~missing
    item = torch.where(leaf, trie.leaf_item[edge].long(), level.item.gather(1, parent))
    ended = had_ended | leaf | missing
    ancestors = level.ancestors.gather(1, parent[:, :, None].expand(-1, -1, level.ancestors.shape[2]))
    # ended beams get the last node, which has few edges and so adds no padding to the table of edges
    state = torch.where(ended, trie.nodes - 1, child)
    return _Level(state, score, torch.where(missing, -1, item), ended, ancestors, trie.tokens[edge].long())


def beam_search(batch: PromptBatch, trie: ItemTrie, count: int, look: bool | None = None) -> tuple[Tensor, Tensor]:
    """The `count` best sequences of the trie for each prompt, with a beam of that width.

        score = sum over t of log softmax(logits_t)[token_t], the softmax over the whole vocabulary

    The sum is over the tokens of a sequence without the suffix that all sequences share (ItemTrie.tail), which has
    probability 1 under the constraint. The result is exact if sequences have one token or the trie has at most `count`
    sequences; otherwise it is that of a beam search.

    Args:
        batch: B prompts, with room for `count` tokens for each level of the trie.
        trie: the allowed sequences, on the device of the batch.
        count: K, at least 1.
        look: whether to look at the rows in each step, which saves work on a CPU and waits on a GPU; None: on a CPU.

    Returns:
        int64 [B, K] indices of sequences, best first, padded with -1 if the trie has fewer than K; float32 [B, K] their
        scores, padded with -inf.

    Raises:
        RuntimeError: a node of the trie has no edge, or an allowed token has no finite score.
        UserError: see PromptBatch.branch.
    """
    look = batch.logits.device.type == "cpu" if look is None else look
    width, checks = min(count, trie.size), _Checks(look)
    widths: list[int] | list[None] = [None] * trie.levels if look else trie.widths(trie.ROOT)
    level = _extend(_root_level(len(batch), batch.logits.device), trie, batch.logits[:, None], width, widths[0], checks)
    for widest in widths[1:]:
        if look and bool(level.ended.all()):
            break
        logits = batch.branch(level.token, level.ancestors)
        itself = torch.eye(level.token.shape[1], dtype=torch.bool, device=logits.device)
        level.ancestors = torch.cat([level.ancestors, itself.expand(len(batch), -1, -1)], 2)
        level = _extend(level, trie, logits, width, widest, checks)
    checks.run()
    items = torch.full((len(batch), count), -1, device=level.item.device)
    scores = torch.full((len(batch), count), -torch.inf, device=level.item.device)
    items[:, : level.item.shape[1]], scores[:, : level.item.shape[1]] = level.item, level.score
    return items, scores
