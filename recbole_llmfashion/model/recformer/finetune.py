"""Fine-tuning in two stages (arXiv 2305.13731, section 2.4; docs/method.md).

    loss = CE(cos(h(history), I) / tau over all N items, next item)

Stage 1 computes the item matrix I anew as each epoch begins, stage 2 starts from the best (weights, I) of stage 1 and
leaves I as it is. I is never learnt, and each stage has an optimizer and a schedule of its own. How a state is judged
is the caller's.
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
from recbole_llmfashion.llm.finetuning.optimizer import Optimizer, linear_rate
from recbole_llmfashion.model.recformer.scorer import Scorer
from recbole_llmfashion.model.recformer.settings import StageSettings


@dataclass
class StageLog:
    """What happened.

    Args:
        epochs: run.
        best_score: of all evaluations and of the state the stage began with; None where nothing was evaluated.
        scores: (epoch from 0, score) of each evaluation.
        losses: mean of each epoch.
        steps: of the optimizer.
        seconds: evaluations included.
    """

    epochs: int = 0
    best_score: float | None = None
    scores: list[tuple[int, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dict(vars(self))


def item_loss(scorer: Scorer, histories: Sequence[np.ndarray], targets: Tensor, temperature: float) -> Tensor:
    """The mean over the batch of the loss above; the cosines are one product of unit matrices, never [B, N, d]."""
    return cross_entropy(scorer.cosines(histories) / temperature, targets)


def draw_rows(users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One training row of each user, uniformly; row indices, ascending.

    Args:
        users: [n], each user's together.
        rng: draws.
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
) -> StageLog:
    """Trains a scorer in place and leaves it in its best state, the last one where nothing can be evaluated.

    Args:
        scorer: with an item matrix, where it is not to be refreshed.
        users: [n] of the training rows, each user's together.
        histories: entries before each row's target, most recent first.
        targets: [n] catalogue positions.
        settings: see StageSettings.
        validate: the score of the scorer's present state, higher is better; None where there is no validation row.
        best_score: of the state that the scorer is in, which only a higher score replaces; None: not known.
        on_score: called with (epoch from 0, score) after each evaluation; what it raises ends the stage.
        show_progress: a bar.

    Raises:
        UserError: the loss is not finite.
    """
    started = time.monotonic()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    log, waited = StageLog(best_score=best_score), 0
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
            log.epochs += 1
            if validate is None or ((epoch + 1) % settings.eval_every and epoch + 1 < settings.epochs):
                continue
            score = validate()
            scorer.encoder.train()
            log.scores.append((epoch, score))
            waited += 1
            if log.best_score is None or score > log.best_score:
                log.best_score, best, waited = score, scorer.state(), 0
            on_score(epoch, score)
            if waited >= settings.patience:
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
    """One pass over the batches; the mean loss of its rows."""
    losses, group = 0.0, settings.gradient_accumulation_steps
    for first in range(0, len(batches), group):
        together = batches[first : first + group]
        count = sum(map(len, together))
        for rows in together:
            wanted = torch.from_numpy(targets[rows]).to(scorer.device)
            loss = item_loss(scorer, [histories[i] for i in rows], wanted, settings.temperature)
            losses += optimizer.backward(loss * (len(rows) / count)) * count
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            bar.update()
        optimizer.step(linear_rate(optimizer.steps, settings.warmup_steps, settings.warmup_steps, total, 0.0))
    return losses / sum(map(len, batches))
