"""Pre-training on item-item contrast and masked language modelling (arXiv 2305.13731, section 2.3).

    loss = CE(cos(h(a_i), h(b_k)) / tau over k, i) + weight * MLM(a) + weight * MLM(b)

a is a history, b the item that follows it; h is the unit vector of a sequence.
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
from recbole_llmfashion.llm.finetuning.step.optimizer import Optimizer, linear_rate
from recbole_llmfashion.model.recformer.flatten import BOS_TYPE, PAD_TYPE, TokenBatch
from recbole_llmfashion.model.recformer.scorer import Scorer
from recbole_llmfashion.model.recformer.settings import RecformerPretrainSettings

IGNORED = -100
MAX_MASKED = 512
REPORTED_STEPS = 20


def contrastive_loss(histories: Tensor, items: Tensor, temperature: float) -> Tensor:
    """mean_i CE(cos(a_i, b_k) / temperature over k, label i), from histories to items only.

    Args:
        histories, items: [B, d] unit rows; row i of both is a pair.
        temperature: above 0.

    Returns:
        scalar float.
    """
    labels = torch.arange(len(histories), device=histories.device)
    return cross_entropy(histories @ items.T / temperature, labels)


@dataclass(frozen=True)
class Masking:
    """The data of a tokenizer that masking needs.

    Args:
        starts_word: [V] bool, whether a token starts a word.
        mask_id: id of the mask token.
    """

    starts_word: np.ndarray
    mask_id: int


def mask_words(batch: TokenBatch, masking: Masking, share: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Whole-word masking.

    Words are chosen in random order until round(share * tokens) tokens are chosen, at least 1 and at most 512; a word
    that would exceed this number is skipped, and bos is never chosen. Of the chosen tokens 80 % are replaced by the
    mask token, 10 % by a random token, and 10 % are kept. A word ends where the next word starts and at the end of an
    attribute's name or value.

    Returns:
        masked ids, and labels that are IGNORED at tokens that were not chosen; [B, T] int64 both.
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
    """[n] bool, the tokens of randomly chosen words, about share * n of them; `words` is ascending."""
    chosen = np.zeros(len(words), bool)
    left = min(MAX_MASKED, max(1, round(share * len(words))))
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
    """Mean of CE(head(h), token) over the chosen tokens; zero if there are none."""
    chosen = labels != IGNORED
    logits = head(hidden[chosen])
    return cross_entropy(logits, labels[chosen], reduction="sum") / max(1, int(chosen.sum()))


def draw_pairs(users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws one row of each user; the target is uniform over the second half of the user's actions.

    Of n actions, numbered from 0, the target is one of max(1, floor((n - 1) / 2)) .. n - 1 (the first has no history).

    Args:
        users: [n] user of each training row; the rows of a user are adjacent and in order of time, and the first one's
            target is the user's second action.
        rng: random generator.

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
    """Trains the scorer's encoder and a language-model head in place; the head is only used for pre-training.

    Args:
        scorer: its encoder is trained.
        head: [n, d] to [n, V].
        users: see draw_pairs.
        histories: entries before each row's target, most recent first.
        targets: entries.
        masking: see Masking.
        settings: see RecformerPretrainSettings.
        show_progress: whether to show a progress bar.

    Returns:
        first_* and last_*, means over the first and the last 20 steps of loss, contrast, mlm and accuracy (within the
        batch); steps; seconds.

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
            (history, history_mlm), (item, item_mlm) = (
                _forward(scorer, head, side, masking, settings, rng) for side in pairs
            )
            contrast, mlm = contrastive_loss(history, item, settings.temperature), history_mlm + item_mlm
            loss = optimizer.backward(contrast + settings.mlm_weight * mlm)
            optimizer.step(linear_rate(step, warmup, warmup, len(plan), 0.0))
            log.append((loss, contrast.item(), mlm.item() / 2, _accuracy(history, item)))
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
    """Unit vectors [B, d] of the unmasked sequences, and the language-model loss of masked copies."""
    batch = scorer.batch(histories)
    ids, labels = mask_words(batch, masking, settings.mask_share, rng)
    hidden = scorer.hidden(batch.with_copy(ids).to(scorer.device))
    plain, masked = hidden.chunk(2)
    return normalize(plain[:, 0], dim=1), masked_lm_loss(masked, labels.to(scorer.device), head)


@torch.no_grad()
def _accuracy(histories: Tensor, items: Tensor) -> float:
    nearest = (histories @ items.T).argmax(dim=1)
    return float((nearest == torch.arange(len(nearest), device=nearest.device)).float().mean())


def _report(log: np.ndarray) -> dict[str, float]:
    """Means over the first and the last 20 steps."""
    ends = (("first", log[:REPORTED_STEPS]), ("last", log[-REPORTED_STEPS:]))
    names = ("loss", "contrast", "mlm", "accuracy")
    return {
        f"{when}_{name}": float(value)
        for when, steps in ends
        for name, value in zip(names, steps.mean(axis=0), strict=True)
    }
