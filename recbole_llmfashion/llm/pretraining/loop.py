"""Pre-trains all weights of a small causal LM on random copies and on prompts of shops.

A model of a million parameters does not learn to copy an ID from its prompt by training on prompts only; after some
hundred steps on repeated random sequences it does. Then follow batches of two kinds, mixed:

- listed: each item has one token, and every item of a sequence is a target among all items of its shop. The item
  embeddings are computed from the items' words at each step (item_embeddings.py), so the model learns how words make
  an embedding and nothing about a particular item.
- spelled: IDs and titles are text, and the response is the target.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from recbole_llmfashion.llm.batching import Batch, Example, batches_by_length, collate
from recbole_llmfashion.llm.finetuning.step.loss import response_loss
from recbole_llmfashion.llm.finetuning.step.optimizer import Optimizer, linear_rate
from recbole_llmfashion.llm.modeling.item_embeddings import ItemWords
from recbole_llmfashion.llm.pretraining.shop_examples import ShopExamples

COPY_LENGTHS = (10, 40)
COPIES = 3
FLOOR = 0.1
BETAS = (0.9, 0.98)  # a shorter memory of the second moment: the loss drops suddenly once the model learns to copy
REPORTED_STEPS = 50
INITIAL_NORM = 2.0


@dataclass(frozen=True)
class BackbonePretrainSettings:
    """Settings of the pre-training of tiny-falcon.

    Args:
        copy_steps: steps on random token sequences, each repeated three times.
        listed_passes, spelled_passes: epochs over the shops' examples of each kind, possibly fractional.
        batch_size: sequences per step.
        learning_rate: peak of AdamW; linear warm-up, constant during the copy steps, then linear decay to a tenth.
        weight_decay: of AdamW.
        warmup_steps: steps of the warm-up.
        seed: random seed for batches and random sequences.
        max_minutes: the training ends after these minutes, if its steps are not done before; the learning rate then
            falls by the clock. None for no limit.
    """

    copy_steps: int = 700
    listed_passes: float = 1.0
    spelled_passes: float = 0.5
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    warmup_steps: int = 100
    seed: int = 0
    max_minutes: float | None = None


def copy_batch(alphabet: np.ndarray, batch_size: int, rng: np.random.Generator) -> Batch:
    """Random sequences of 10 to 40 tokens, each repeated three times; the loss is on the second and third.

    Args:
        alphabet: token ids to draw from.
        batch_size: number of sequences, all of the same length.
        rng: random generator.
    """
    length = int(rng.integers(COPY_LENGTHS[0], COPY_LENGTHS[1] + 1))
    ids = np.tile(rng.choice(alphabet, (batch_size, length)), (1, COPIES))
    response = np.broadcast_to(np.arange(length * COPIES) >= length, ids.shape).copy()
    return Batch(torch.from_numpy(ids), torch.ones(ids.shape, dtype=torch.long), torch.from_numpy(response))


@dataclass(frozen=True)
class Step:
    """The examples of one step.

    Args:
        shop: index of the shop; None for a copy step.
        listed: whether its listed or its spelled examples are used.
        rows: int64 indices of the examples.
    """

    shop: int | None
    listed: bool
    rows: np.ndarray


def plan_steps(
    shops: Sequence[ShopExamples], settings: BackbonePretrainSettings, rng: np.random.Generator
) -> list[Step]:
    """All steps in order: first the copy steps, then the batches of both kinds of all shops in random order."""
    steps: list[Step] = []
    for listed in (True, False):
        for number, shop in enumerate(shops):
            passes = settings.spelled_passes
            if listed:
                passes = settings.listed_passes if shop.passes is None else shop.passes
            lengths = np.asarray([len(example) for example in (shop.listed if listed else shop.spelled)], np.int64)
            batches: list[np.ndarray] = []
            for _ in range(int(np.ceil(passes))):
                batches.extend(batches_by_length(lengths, settings.batch_size, rng))
            share = len(batches) * passes / max(1, np.ceil(passes))
            steps.extend(Step(number, listed, rows) for rows in batches[: round(share)])
    copying = [Step(None, False, np.zeros(0, np.int64))] * settings.copy_steps
    return [*copying, *(steps[i] for i in rng.permutation(len(steps)))]


def item_table(model: Any, item_words: ItemWords, norm: Tensor | float, positions: np.ndarray) -> Tensor:
    """The model's embedding followed by one row per item token; gradients reach the rows of the words.

    Args:
        model: a Falcon with tied embeddings.
        item_words: the words of a shop's items.
        norm: norm of the item rows.
        positions: [N] the item of each item token.

    Returns:
        [V + N, d].
    """
    weight = model.get_input_embeddings().weight
    return torch.cat([weight, item_words.units(weight)[torch.from_numpy(positions).to(weight.device)] * norm])


def hidden_states(model: Any, batch: Batch, table: Tensor) -> Tensor:
    """Hidden states [B, T, d] of a right-padded batch whose ids are rows of `table`."""
    # right padding needs no mask: attention is causal
    return model.get_decoder()(inputs_embeds=F.embedding(batch.input_ids, table), use_cache=False)[0]


def listed_loss(model: Any, batch: Batch, table: Tensor) -> Tensor:
    """Mean loss per target token of a batch whose ids are rows of `item_table`."""
    hidden = hidden_states(model, batch, table)
    rows, columns, targets = batch.targets()
    logits = hidden[rows, columns] @ table.T
    return F.cross_entropy(logits.float(), targets)


def pretrain(
    model: Any,
    shops: Sequence[ShopExamples],
    settings: BackbonePretrainSettings,
    show_progress: bool = True,
    norm: float = INITIAL_NORM,
) -> dict[str, float]:
    """Trains every weight of `model` in place.

    Args:
        model: a Falcon in fp32 on its device; on CUDA it computes in bf16.
        shops: training examples; may be empty if there are only copy steps.
        settings: see BackbonePretrainSettings.
        show_progress: whether to show a progress bar.
        norm: initial norm of item embeddings.

    Returns:
        norm: norm of item embeddings; copy_loss, listed_loss, spelled_loss: means of the last 50 losses of each kind
        of step, in nats per token, for the kinds that have steps; tokens (without padding), steps, seconds.

    Raises:
        UserError: the loss is not finite.
    """
    started = time.monotonic()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    run = _Run(model, shops, settings, rng, norm)
    model.train()
    with tqdm(run.plan, desc="pre-training", unit="step", disable=not show_progress) as bar:
        for step in bar:
            if run.time_share() >= 1:
                break
            run.make(step)
            if run.optimizer.steps % REPORTED_STEPS == 0:
                bar.set_postfix(run.recent())
    model.eval()
    return {
        "norm": float(run.norm.detach().exp()),
        **run.recent(),
        "tokens": run.tokens,
        "steps": run.optimizer.steps,
        "seconds": round(time.monotonic() - started, 1),
    }


class _Run:
    """The state of one pre-training: all steps, the optimizer and the losses by kind."""

    def __init__(
        self,
        model: Any,
        shops: Sequence[ShopExamples],
        settings: BackbonePretrainSettings,
        rng: np.random.Generator,
        norm: float,
    ) -> None:
        self._started = time.monotonic()
        self.model, self.shops, self.settings, self.rng = model, shops, settings, rng
        self.plan = plan_steps(shops, settings, rng)
        self.vocab_size = int(model.config.vocab_size)
        self.item_words = [ItemWords(shop.words, self.vocab_size) for shop in shops]
        special = {model.config.eos_token_id, model.config.pad_token_id}
        ids = np.arange(self.vocab_size, dtype=np.int64)
        self.alphabet = ids[~np.isin(ids, [token for token in special if isinstance(token, int)])]
        self.device = next(model.parameters()).device
        # the logarithm is learned, so the norm stays positive and changes by factors
        self.norm = nn.Parameter(torch.tensor(float(np.log(norm)), device=self.device))
        parameters = [*model.parameters(), self.norm]
        self.optimizer = Optimizer(parameters, settings.learning_rate, settings.weight_decay, BETAS)
        self.losses: dict[str, list[float]] = {"copy": [], "listed": [], "spelled": []}
        self.tokens = 0

    def make(self, step: Step) -> None:
        """Makes one optimizer step."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            kind, loss = self._loss(step)
        self.losses[kind].append(self.optimizer.backward(loss))
        self.optimizer.step(self._rate())

    def time_share(self) -> float:
        """The part of `max_minutes` that is over; 0 without a limit."""
        if self.settings.max_minutes is None:
            return 0.0
        return (time.monotonic() - self._started) / (60 * self.settings.max_minutes)

    def _rate(self) -> float:
        """Factor of the learning rate: by the steps or by the clock, whichever is further."""
        done, total = self.optimizer.steps, len(self.plan)
        by_steps = linear_rate(done, self.settings.warmup_steps, self.settings.copy_steps, total, FLOOR)
        return min(by_steps, max(FLOOR, 1 - (1 - FLOOR) * self.time_share()))

    def _loss(self, step: Step) -> tuple[str, Tensor]:
        if step.shop is None:
            batch = copy_batch(self.alphabet, self.settings.batch_size, self.rng)
            return "copy", self._spelled(batch)
        shop = self.shops[step.shop]
        source: Sequence[Example] = shop.listed if step.listed else shop.spelled
        batch = collate([source[row] for row in step.rows], self.model.config.pad_token_id or 0)
        if not step.listed:
            return "spelled", self._spelled(batch)
        self.tokens += int(batch.attention_mask.sum())
        table = item_table(self.model, self.item_words[step.shop], self.norm.exp(), shop.positions)
        return "listed", listed_loss(self.model, batch.to(self.device), table)

    def _spelled(self, batch: Batch) -> Tensor:
        self.tokens += int(batch.attention_mask.sum())
        sums, counts = response_loss(self.model, batch.to(self.device))
        return sums.sum() / counts.sum()

    def recent(self) -> dict[str, float]:
        """Mean of the last losses of each kind that has any."""
        return {
            f"{kind}_loss": round(float(np.mean(values[-REPORTED_STEPS:])), 4)
            for kind, values in self.losses.items()
            if values
        }
