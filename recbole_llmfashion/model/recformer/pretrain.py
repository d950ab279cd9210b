"""Pre-training on item-item contrast and masked language modelling (arXiv 2305.13731, section 2.3).

    loss = CE(cos(h(a_i), h(b_k)) / tau over k, i) + weight * MLM(a) + weight * MLM(b)

a is a history, b the item that followed it. Knows token ids only; which histories they are is the caller's.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from tqdm import tqdm

from recbole_llmfashion.llm.batching import batches_by_length
from recbole_llmfashion.llm.finetuning.optimizer import Optimizer, linear_rate
from recbole_llmfashion.model.recformer.flatten import BOS_TYPE, PAD_TYPE, TokenBatch, collate
from recbole_llmfashion.model.recformer.scorer import Scorer
from recbole_llmfashion.model.recformer.settings import RecformerPretrainSettings

IGNORED = -100
MOST_MASKED = 512
REPORTED_STEPS = 20


def contrastive_loss(histories: Tensor, items: Tensor, temperature: float) -> Tensor:
    """mean_i CE(cos(a_i, b_k) / temperature over k, label i), from history to item alone.

    Args:
        histories, items: [B, d] unit rows, row i of both is a pair.
        temperature: above 0.

    Returns:
        scalar float.
    """
    labels = torch.arange(len(histories), device=histories.device)
    return cross_entropy(histories @ items.T / temperature, labels)


@dataclass(frozen=True)
class Masking:
    """What masking knows of a tokenizer.

    Args:
        starts_word: [V] bool, the piece opens a word.
        mask_id: the mask token.
    """

    starts_word: np.ndarray
    mask_id: int


def mask_words(batch: TokenBatch, masking: Masking, share: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Whole-word masking: words in random order, one that would exceed the count is passed over.

    The count is round(share * tokens), 1 to 512, the first token apart. Of the chosen tokens 80 % become the mask,
    10 % any token, 10 % stay. A word ends where a piece opens another one, and where an attribute's name or value ends.

    Returns:
        masked ids, and labels that are IGNORED where nothing is to be told; [B, T] int64 both.
    """
    ids, types, items = batch.ids.numpy(), batch.types.numpy(), batch.item_positions.numpy()
    border = masking.starts_word[ids]
    border[:, 1:] |= (types[:, 1:] != types[:, :-1]) | (items[:, 1:] != items[:, :-1])
    words = border.cumsum(axis=1)
    real = (types != BOS_TYPE) & (types != PAD_TYPE)
    chosen = np.zeros(ids.shape, bool)
    for row in range(len(ids)):
        at = np.flatnonzero(real[row])
        chosen[row, at] = _choose(words[row, at], share, rng)
    labels = np.where(chosen, ids, IGNORED)
    draw = rng.random(ids.shape)
    masked = np.where(chosen & (draw < 0.8), masking.mask_id, ids)
    random = rng.integers(len(masking.starts_word), size=ids.shape)
    return torch.from_numpy(np.where(chosen & (draw >= 0.9), random, masked)), torch.from_numpy(labels)


def _choose(words: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """[n] bool, the tokens of whole words, at most round(share * n) of them; `words` does not decrease."""
    chosen = np.zeros(len(words), bool)
    left = min(MOST_MASKED, max(1, round(share * len(words))))
    starts = np.flatnonzero(np.r_[True, words[1:] != words[:-1]]) if len(words) else np.zeros(0, np.int64)
    stops = np.r_[starts[1:], len(words)]
    for word in rng.permutation(len(starts)):
        size = stops[word] - starts[word]
        if size <= left:
            chosen[starts[word] : stops[word]] = True
            left -= size
        if not left:
            break
    return chosen


def masked_lm_loss(hidden: Tensor, labels: Tensor, head: nn.Module) -> Tensor:
    """mean over the chosen tokens of CE(head(h), token); zero where none was chosen."""
    told = labels != IGNORED
    logits = head(hidden[told])
    return cross_entropy(logits, labels[told], reduction="sum") / max(1, int(told.sum()))


def draw_pairs(users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One row a user: of n actions the target is uniform over floor((n - 1) / 2) .. n - 1, from 0, the first apart.

    Args:
        users: [n] of the training rows, each user's together and in order of time; a user's first row has the user's
            second action as its target, for a target without history teaches nothing.
        rng: draws.

    Returns:
        row indices, ascending.
    """
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    counts = np.diff(np.r_[starts, len(users)])
    lowest = np.maximum(counts // 2, 1) - 1
    return starts + rng.integers(lowest, counts)


def pretrain(
    scorer: Scorer,
    head: nn.Module,
    users: np.ndarray,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    masking: Masking,
    settings: RecformerPretrainSettings,
    show_progress: bool = True,
) -> dict[str, float]:
    """Trains the scorer's encoder, and a language-model head that is not kept, in place.

    Args:
        scorer: whose encoder learns.
        head: [n, d] to [n, V].
        users: see draw_pairs.
        histories: entries before each row's target, most recent first.
        targets: entries.
        masking: of the tokenizer.
        settings: see RecformerPretrainSettings.
        show_progress: a bar.

    Returns:
        first and last of loss, contrast, mlm (means of 20 steps), accuracy (in the batch, of the last 20 steps), steps,
        seconds.

    Raises:
        UserError: the loss is not finite.
    """
    started = time.monotonic()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    lengths = scorer.sequence_lengths(histories)
    plan = []
    for _ in range(settings.epochs):
        rows = draw_pairs(users, rng)
        plan += [rows[batch] for batch in batches_by_length(lengths[rows], settings.batch_size, rng)]
    warmup, log = settings.warmup_steps, []
    with scorer.learning(settings.freeze_words):
        optimizer = Optimizer(
            [*scorer.parameters(), *head.parameters()],
            settings.learning_rate,
            settings.weight_decay,
            scaled=scorer.dtype == torch.float16,
        )
        bar = tqdm(plan, desc="Recformer pre-training", unit="step", disable=not show_progress)
        for step, rows in enumerate(bar):
            pairs = ([histories[i] for i in rows], [targets[i : i + 1] for i in rows])
            (before, told), (after, told_after) = (
                _forward(scorer, head, side, masking, settings, rng) for side in pairs
            )
            contrast, mlm = contrastive_loss(before, after, settings.temperature), told + told_after
            loss = optimizer.backward(contrast + settings.mlm_weight * mlm)
            optimizer.step(linear_rate(step, warmup, warmup, len(plan), 0.0))
            log.append((loss, contrast.item(), mlm.item() / 2, _accuracy(before, after)))
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
    return _report(np.asarray(log)) | {"steps": len(plan), "seconds": round(time.monotonic() - started, 1)}


def _forward(
    scorer: Scorer,
    head: nn.Module,
    histories: Sequence[np.ndarray],
    masking: Masking,
    settings: RecformerPretrainSettings,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Unit vectors [B, d] of the sequences as they are, and the language-model loss of masked copies of them."""
    batch = collate(scorer.rows, histories, scorer.shape)
    ids, labels = mask_words(batch, masking, settings.mask_share, rng)
    hidden = scorer.hidden(batch.with_copy(ids).to(scorer.device))
    plain, masked = hidden.chunk(2)
    return normalize(plain[:, 0], dim=1), masked_lm_loss(masked, labels.to(scorer.device), head)


@torch.no_grad()
def _accuracy(histories: Tensor, items: Tensor) -> float:
    nearest = (histories @ items.T).argmax(dim=1)
    return float((nearest == torch.arange(len(nearest), device=nearest.device)).float().mean())


def _report(log: np.ndarray) -> dict[str, float]:
    """The first and the last 20 steps' means by name."""
    ends = (("first", log[:REPORTED_STEPS]), ("last", log[-REPORTED_STEPS:]))
    names = ("loss", "contrast", "mlm", "accuracy")
    return {
        f"{when}_{name}": float(value)
        for when, steps in ends
        for name, value in zip(names, steps.mean(axis=0), strict=True)
    }
