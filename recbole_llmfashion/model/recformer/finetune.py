"""Fine-tuning in two stages (arXiv 2305.13731, section 2.4; docs/method.md).

    loss = CE(cos(h(history), I) / tau over all N items, next item)

Stage 1 recomputes the item matrix I at the start of each epoch. Stage 2 starts from the best weights and I of stage 1
and keeps I constant. I is never a parameter. Each stage has its own optimizer and learning rate schedule.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from recbole_llmfashion.llm.batching import batches_by_length
from recbole_llmfashion.llm.finetuning.step.optimizer import Optimizer, linear_rate
from recbole_llmfashion.model.recformer.scorer import Scorer
from recbole_llmfashion.model.recformer.settings import StageSettings
from recbole_llmfashion.tracking import Track, no_track


@dataclass
class StageLog:
    """Log of one stage.

    Args:
        epochs: number of epochs run.
        best_score: best score of all evaluations and of the initial state; None if nothing was evaluated.
        scores: (epoch from 0, score) of each evaluation.
        losses: mean loss of each epoch.
        steps: number of optimizer steps.
        seconds: total time, including evaluations.
    """

    epochs: int = 0
    best_score: float | None = None
    scores: list[tuple[int, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """All fields, as JSON types."""
        return dict(vars(self))


def item_loss(scorer: Scorer, histories: Sequence[np.ndarray], targets: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy over the batch, CE(cos(h(history), I) / temperature, target); see the equation at the top."""
    return cross_entropy(scorer.cosines(histories) / temperature, targets)


def draw_rows(users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws one training row of each user uniformly.

    Args:
        users: [n] user of each training row; the rows of a user are adjacent.
        rng: random generator.

    Returns:
        row indices, ascending.

    >>> draw_rows(np.array([4, 7, 7]), np.random.default_rng(0)).tolist()
    [0, 2]
    """
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    return starts + rng.integers(np.diff(np.r_[starts, len(users)]))


def train_stage(
    scorer: Scorer,
    users: np.ndarray,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    settings: StageSettings,
    validate: Callable[[], float] | None,
    best_score: float | None = None,
    on_score: Callable[[int, float], None] = lambda epoch, score: None,
    show_progress: bool = True,
    track: Track = no_track,
) -> StageLog:
    """Trains a scorer in place and restores its best state, or keeps the last one if there is no evaluation.

    Args:
        scorer: with an item matrix, unless settings.refresh is set.
        users: [n] user of each training row; the rows of a user are adjacent.
        histories: entries before each row's target, most recent first.
        targets: [n] catalogue positions.
        settings: see StageSettings.
        validate: score of the scorer's current state, higher is better; None without validation rows.
        best_score: score of the initial state, which is restored unless a later one is higher; None if unknown.
        on_score: called with (epoch from 0, score) after each evaluation; an exception from it ends the stage.
        show_progress: whether to show a progress bar.
        track: gets the loss of each epoch and the score of each evaluation, by number of the epoch.

    Raises:
        UserError: the loss is not finite.
    """
    started = time.monotonic()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    log, stale_evaluations = StageLog(best_score=best_score), 0
    best = scorer.state() if best_score is not None else None
    lengths = scorer.sequence_lengths(histories)
    forwards = -(-len(np.unique(users)) // settings.batch_size)
    total = settings.epochs * -(-forwards // settings.gradient_accumulation_steps)
    with scorer.learning(settings.freeze_words):
        optimizer = Optimizer(
            scorer.parameters(),
            settings.learning_rate,
            settings.weight_decay,
            scaled=scorer.dtype == torch.float16,
        )
        name = f"Recformer stage {1 if settings.refresh else 2}"
        bar = tqdm(total=settings.epochs * forwards, desc=name, unit="step", disable=not show_progress)
        for epoch in range(settings.epochs):
            if settings.refresh:
                scorer.refresh()
            rows = draw_rows(users, rng)
            batches = [rows[batch] for batch in batches_by_length(lengths[rows], settings.batch_size, rng)]
            log.losses.append(_epoch(scorer, histories, targets, batches, optimizer, total, settings, bar))
            track(epoch, {"train_loss": log.losses[-1], "learning_rate": optimizer.learning_rate})
            log.epochs += 1
            if validate is None or ((epoch + 1) % settings.eval_every and epoch + 1 < settings.epochs):
                continue
            score = validate()
            scorer.encoder.train()
            log.scores.append((epoch, score))
            stale_evaluations += 1
            if log.best_score is None or score > log.best_score:
                log.best_score, best, stale_evaluations = score, scorer.state(), 0
            track(epoch, {"valid_score": score})
            on_score(epoch, score)
            if stale_evaluations >= settings.patience:
                break
        bar.close()
    if best is not None and validate is not None:
        scorer.restore(best)
    log.steps, log.seconds = optimizer.steps, round(time.monotonic() - started, 1)
    return log


def _epoch(
    scorer: Scorer,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    batches: list[np.ndarray],
    optimizer: Optimizer,
    total: int,
    settings: StageSettings,
    bar: Any,
) -> float:
    """Trains one epoch; returns the mean loss of its rows."""
    losses, group = 0.0, settings.gradient_accumulation_steps
    for first in range(0, len(batches), group):
        step_batches = batches[first : first + group]
        count = sum(map(len, step_batches))
        for rows in step_batches:
            labels = torch.from_numpy(targets[rows]).to(scorer.device)
            loss = item_loss(scorer, [histories[i] for i in rows], labels, settings.temperature)
            losses += optimizer.backward(loss * (len(rows) / count)) * count
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            bar.update()
        optimizer.step(linear_rate(optimizer.steps, settings.warmup_steps, settings.warmup_steps, total, 0.0))
    return losses / sum(map(len, batches))
