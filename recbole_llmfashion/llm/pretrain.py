"""Trains a small causal LM in full: first to copy, then on a corpus.

A model of a million parameters does not learn to copy an ID out of its prompt from prompts alone; after some hundred
steps on random sequences that repeat themselves it does. Knows no tokenizer and not where the corpus comes from.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from recbole_llmfashion.llm.examples import Batch, Example, batches_by_length, collate
from recbole_llmfashion.llm.loss import response_loss
from recbole_llmfashion.llm.optimizer import Optimizer, linear_rate

COPY_LENGTHS = (10, 40)
COPIES = 3
FLOOR = 0.1
BETAS = (0.9, 0.98)  # a second moment that forgets sooner: the loss falls in steps, when copying is found
REPORTED_STEPS = 20


@dataclass(frozen=True)
class PretrainSettings:
    """How an embedded model is trained.

    Args:
        copy_steps: steps on random token sequences, each repeated three times.
        copy_batch_size: such sequences a step.
        epochs: passes over the corpus; a fraction is a part of a pass.
        batch_size: examples a step.
        learning_rate: peak of AdamW; linear warm-up, constant while copying, then linear to a tenth.
        weight_decay: of AdamW.
        warmup_steps: steps up to the peak.
        max_tokens: corpus tokens, prompts included, after which to stop; None for all epochs.
        seed: of batches and random sequences.
    """

    copy_steps: int = 700
    copy_batch_size: int = 32
    epochs: float = 2.0
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    warmup_steps: int = 100
    max_tokens: int | None = None
    seed: int = 0


def copy_batch(alphabet: np.ndarray, batch_size: int, rng: np.random.Generator) -> Batch:
    """Random sequences of 10 to 40 tokens, three times in a row; the loss is on the second and third.

    Args:
        alphabet: token ids to draw from.
        batch_size: sequences, all of one length.
        rng: draws them.
    """
    length = int(rng.integers(COPY_LENGTHS[0], COPY_LENGTHS[1] + 1))
    ids = np.tile(rng.choice(alphabet, (batch_size, length)), (1, COPIES))
    response = np.broadcast_to(np.arange(length * COPIES) >= length, ids.shape).copy()
    return Batch(torch.from_numpy(ids), torch.ones(ids.shape, dtype=torch.long), torch.from_numpy(response))


def plan_batches(lengths: np.ndarray, settings: PretrainSettings, rng: np.random.Generator) -> list[np.ndarray]:
    """All corpus batches in order, cut at the epochs and at max_tokens (one batch at least)."""
    plan: list[np.ndarray] = []
    for _ in range(ceil(settings.epochs)):
        plan.extend(batches_by_length(lengths, settings.batch_size, rng))
    per_epoch = ceil(len(lengths) / settings.batch_size)
    plan = plan[: round(settings.epochs * per_epoch)]
    if settings.max_tokens is None or not plan:
        return plan
    tokens = np.cumsum([lengths[batch].sum() for batch in plan])
    return plan[: max(1, int(np.searchsorted(tokens, settings.max_tokens, side="right")))]


def _alphabet(model: Any) -> np.ndarray:
    """Every token id but the end and the padding."""
    marks = {model.config.eos_token_id, model.config.pad_token_id}
    ids = np.arange(model.config.vocab_size, dtype=np.int64)
    return ids[~np.isin(ids, [mark for mark in marks if isinstance(mark, int)])]


def pretrain(
    model: Any, corpus: Sequence[Example], settings: PretrainSettings, show_progress: bool = True
) -> dict[str, float]:
    """Trains every weight of `model` in place: copying, then the corpus with the loss on the response.

    Args:
        model: a causal LM in fp32, on its device.
        corpus: examples; may be empty where copying alone is wanted.
        settings: see PretrainSettings.
        show_progress: a bar.

    Returns:
        copy_loss (mean of the last 20 copying steps), first_loss and last_loss (of 20 corpus steps) in nats a token,
        tokens (padding excluded), steps, seconds; a phase without steps has no loss.

    Raises:
        UserError: the loss is not finite.
    """
    started = time.monotonic()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    plan = plan_batches(np.asarray([len(example) for example in corpus]), settings, rng) if corpus else []
    alphabet, pad = _alphabet(model), model.config.pad_token_id or 0
    optimizer = Optimizer(model.parameters(), settings.learning_rate, settings.weight_decay, BETAS)
    total = settings.copy_steps + len(plan)
    device = next(model.parameters()).device
    losses: list[float] = []
    tokens = 0
    model.train()
    for step in tqdm(range(total), desc="pre-training", unit="step", disable=not show_progress):
        if step < settings.copy_steps:
            batch = copy_batch(alphabet, settings.copy_batch_size, rng)
        else:
            batch = collate([corpus[i] for i in plan[step - settings.copy_steps]], pad)
        tokens += int(batch.attention_mask.sum())
        sums, counts = response_loss(model, batch.to(device))
        losses.append(optimizer.backward(sums.sum() / counts.sum()))
        optimizer.step(linear_rate(step, settings.warmup_steps, settings.copy_steps, total, FLOOR))
    model.eval()
    return {
        **_phase_losses(losses, settings.copy_steps),
        "tokens": tokens,
        "steps": total,
        "seconds": round(time.monotonic() - started, 1),
    }


def _phase_losses(losses: list[float], copy_steps: int) -> dict[str, float]:
    copying, reading = losses[:copy_steps], losses[copy_steps:]
    result = {"copy_loss": float(np.mean(copying[-REPORTED_STEPS:]))} if copying else {}
    if reading:
        result["first_loss"] = float(np.mean(reading[:REPORTED_STEPS]))
        result["last_loss"] = float(np.mean(reading[-REPORTED_STEPS:]))
    return result
