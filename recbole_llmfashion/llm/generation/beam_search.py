"""Beam search over a trie: the most likely sequences of each prompt, with their log-probabilities.

The beams of a prompt are a tree behind it (`PromptBatch.branch`), so the prompt is run once and its keys
and values are never copied. Nothing here is a loop over rows, beams or edges.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.generation.prefill import PromptBatch


@dataclass
class _Level:
    """The beams of all rows, best first.

    Args:
        state: int64 [B, W], a node; of an ended beam any.
        score: float32 [B, W], -inf where a row has fewer than W beams.
        item: int64 [B, W], -1 before a sequence is said.
        ended: bool [B, W], nothing is left to say or to score.
        above: bool [B, W, C], the beam's tokens among the row's C tree tokens.
        token: int64 [B, W], the last one said.
    """

    state: Tensor
    score: Tensor
    item: Tensor
    ended: Tensor
    above: Tensor
    token: Tensor


def _first(rows: int, device: torch.device) -> _Level:
    zeros = torch.zeros(rows, 1, dtype=torch.long, device=device)
    none = torch.zeros(rows, 1, 0, dtype=torch.bool, device=device)
    return _Level(zeros + ItemTrie.ROOT, zeros.float(), zeros - 1, zeros.bool(), none, zeros)


def _extend(level: _Level, trie: ItemTrie, logits: Tensor, count: int) -> _Level:
    """The best `count` continuations by the logits [B, W, V] after each beam; an ended beam continues as itself."""
    rows, width = level.state.shape
    flat, inside = trie.edges(level.state.flatten())
    edges, inside = flat.view(rows, width, -1), inside.view(rows, width, -1)
    live = inside & ~level.ended[:, :, None]
    logits = logits.float()
    gain = logits.gather(2, trie.tokens[edges].long()) - logits.logsumexp(2, keepdim=True)
    if not bool((gain.isfinite() | ~live).all()):
        raise RuntimeError("constrained decoding: an allowed token has no finite score")
    total = (level.score[:, :, None] + gain).masked_fill(~live, -torch.inf)
    total[:, :, 0] = torch.where(level.ended, level.score, total[:, :, 0])
    score, place = total.flatten(1).topk(min(count, total[0].numel()))
    parent = place // edges.shape[2]
    edge = edges.flatten(1).gather(1, place)
    was, lost = level.ended.gather(1, parent), score == -torch.inf
    child = trie.children[edge].long()
    leaf = ((child == ItemTrie.FREE) | (child >= trie.tail)) & ~was & ~lost
    item = torch.where(leaf, trie.leaf_item[edge].long(), level.item.gather(1, parent))
    ended = was | leaf | lost
    above = level.above.gather(1, parent[:, :, None].expand(-1, -1, level.above.shape[2]))
    state = torch.where(ended, trie.nodes - 1, child)  # of the last node: it has few edges, so that none is padded
    return _Level(state, score, torch.where(lost, -1, item), ended, above, trie.tokens[edge].long())


def beam_search(run: PromptBatch, trie: ItemTrie, count: int) -> tuple[Tensor, Tensor]:
    """The `count` best sequences of each row by a beam of that width.

        score = sum over t of log softmax(logits_t)[token_t], the softmax over the whole vocabulary

    over the tokens of a sequence without the end that all sequences share (ItemTrie.tail), which is certain once the
    rest is said. A beam sees only the best `count` beginnings: where sequences have one token, or the trie has no more
    than `count` of them, what it finds is exactly the best.

    Args:
        run: B prompts, with room for `count` tokens for each level of the trie.
        trie: from its root, on the run's device.
        count: K, at least 1.

    Returns:
        int64 [B, K] places of sequences, best first, -1 behind the last where the trie holds fewer than K; float32
        [B, K] their scores, -inf there.

    Raises:
        RuntimeError: an allowed token has no finite score.
        UserError: see PromptBatch.branch.
    """
    width = min(count, trie.size)
    level = _extend(_first(len(run), run.logits.device), trie, run.logits[:, None], width)
    while not bool(level.ended.all()):
        logits = run.branch(level.token, level.above)
        own = torch.eye(level.token.shape[1], dtype=torch.bool, device=logits.device)
        level.above = torch.cat([level.above, own.expand(len(run), -1, -1)], 2)
        level = _extend(level, trie, logits, width)
    items = torch.full((len(run), count), -1, device=level.item.device)
    scores = torch.full((len(run), count), -torch.inf, device=level.item.device)
    items[:, : level.item.shape[1]], scores[:, : level.item.shape[1]] = level.item, level.score
    return items, scores
