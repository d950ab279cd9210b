"""Trains a small causal LM in full: to copy, to recommend with a token an item, to answer with spelled IDs.

A model of a million parameters does not learn to copy an ID out of its prompt from prompts alone; after some hundred
steps on random sequences that repeat themselves it does. Then batches of worlds follow, two kinds of them mixed: in
`listed` ones every item of a sequence is a target among all items of its world, whose rows are made from their words
at each step (item_rows.py), so that what is learned is how words make an item, and nothing of any one item. Knows no
tokenizer and no files.
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
from recbole_llmfashion.llm.finetuning.loss import response_loss
from recbole_llmfashion.llm.finetuning.optimizer import Optimizer, linear_rate
from recbole_llmfashion.llm.modeling.item_embeddings import ItemWords
from recbole_llmfashion.llm.pretraining.simulated_shops import SimulatedShop

COPY_LENGTHS = (10, 40)
COPIES = 3
FLOOR = 0.1
BETAS = (0.9, 0.98)  # a second moment that forgets sooner: the loss falls in steps, when copying is found
REPORTED_STEPS = 50
FIRST_NORM = 2.0


@dataclass(frozen=True)
class BackbonePretrainSettings:
    """How an embedded model is trained.

    Args:
        copy_steps: steps on random token sequences, each repeated three times.
        listed_passes, spelled_passes: passes over the worlds' examples of each kind; a fraction is a part of a pass.
        batch_size: sequences a step.
        learning_rate: peak of AdamW; linear warm-up, constant while copying, then linear to a tenth.
        weight_decay: of AdamW.
        warmup_steps: steps up to the peak.
        seed: of batches and random sequences.
    """

    copy_steps: int = 700
    listed_passes: float = 1.0
    spelled_passes: float = 0.5
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    warmup_steps: int = 100
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


@dataclass(frozen=True)
class Step:
    """One step's examples: of a world, listed or spelled; a copying step is of none."""

    world: int | None
    listed: bool
    rows: np.ndarray


def plan_steps(
    worlds: Sequence[SimulatedShop], settings: BackbonePretrainSettings, rng: np.random.Generator
) -> list[Step]:
    """All steps in order: copying, then every world's batches of both kinds, shuffled together."""
    steps: list[Step] = []
    for listed, passes in ((True, settings.listed_passes), (False, settings.spelled_passes)):
        for number, world in enumerate(worlds):
            lengths = np.asarray([len(example) for example in (world.listed if listed else world.spelled)], np.int64)
            batches: list[np.ndarray] = []
            for _ in range(int(np.ceil(passes))):
                batches.extend(batches_by_length(lengths, settings.batch_size, rng))
            share = len(batches) * passes / max(1, np.ceil(passes))
            steps.extend(Step(number, listed, rows) for rows in batches[: round(share)])
    copying = [Step(None, False, np.zeros(0, np.int64))] * settings.copy_steps
    return [*copying, *(steps[i] for i in rng.permutation(len(steps)))]


def item_table(model: Any, bags: ItemWords, norm: Tensor | float, positions: np.ndarray) -> Tensor:
    """[V + N, d] the model's embedding and, behind it, a row a token of an item; gradients reach the words' rows.

    Args:
        model: a Falcon with tied embeddings.
        bags: the words of a world's items.
        norm: the rows' length.
        positions: [N] the item of each token, counted from V.
    """
    weight = model.get_input_embeddings().weight
    return torch.cat([weight, bags.units(weight)[torch.from_numpy(positions).to(weight.device)] * norm])


def hidden_states(model: Any, batch: Batch, table: Tensor) -> Tensor:
    """[B, T, d] of a right-padded batch whose ids are rows of a table."""
    # right padding needs no mask: no token sees what stands behind it
    return model.get_decoder()(inputs_embeds=F.embedding(batch.input_ids, table), use_cache=False)[0]


def listed_loss(model: Any, batch: Batch, table: Tensor) -> Tensor:
    """Mean loss of a batch whose items are tokens of `item_table`."""
    hidden = hidden_states(model, batch, table)
    at, column = torch.nonzero(batch.response_mask[:, 1:], as_tuple=True)
    logits = hidden[at, column] @ table.T
    return F.cross_entropy(logits.float(), batch.input_ids[at, column + 1])


def pretrain(
    model: Any, worlds: Sequence[SimulatedShop], settings: BackbonePretrainSettings, show_progress: bool = True
) -> dict[str, float]:
    """Trains every weight of `model` in place.

    Args:
        model: a Falcon in fp32, on its device; on CUDA it computes in bf16.
        worlds: may be empty where copying alone is wanted.
        settings: see BackbonePretrainSettings.
        show_progress: a bar.

    Returns:
        norm, the length that items' rows have; the mean of the last 50 losses of each kind of step in nats a token:
        copy_loss, listed_loss, spelled_loss; tokens (padding excluded), steps, seconds. A kind without steps has no
        loss.

    Raises:
        UserError: the loss is not finite.
    """
    started = time.monotonic()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    run = _Run(model, worlds, settings, rng)
    model.train()
    with tqdm(run.plan, desc="pre-training", unit="step", disable=not show_progress) as bar:
        for step in bar:
            run.take(step)
            if run.optimizer.steps % REPORTED_STEPS == 0:
                bar.set_postfix(run.recent())
    model.eval()
    return {
        "norm": float(run.norm.detach().exp()),
        **run.recent(),
        "tokens": run.tokens,
        "steps": len(run.plan),
        "seconds": round(time.monotonic() - started, 1),
    }


class _Run:
    """One pre-training: the plan, the optimizer and the losses by kind."""

    def __init__(
        self, model: Any, worlds: Sequence[SimulatedShop], settings: BackbonePretrainSettings, rng: np.random.Generator
    ) -> None:
        self.model, self.worlds, self.settings, self.rng = model, worlds, settings, rng
        self.plan = plan_steps(worlds, settings, rng)
        self.vocab_size = int(model.config.vocab_size)
        self.bags = [ItemWords(world.words, self.vocab_size) for world in worlds]
        marks = {model.config.eos_token_id, model.config.pad_token_id}
        ids = np.arange(self.vocab_size, dtype=np.int64)
        self.alphabet = ids[~np.isin(ids, [mark for mark in marks if isinstance(mark, int)])]
        self.device = next(model.parameters()).device
        # learned as a logarithm, so that it stays positive and moves by shares
        self.norm = nn.Parameter(torch.tensor(float(np.log(FIRST_NORM)), device=self.device))
        parameters = [*model.parameters(), self.norm]
        self.optimizer = Optimizer(parameters, settings.learning_rate, settings.weight_decay, BETAS)
        self.losses: dict[str, list[float]] = {"copy": [], "listed": [], "spelled": []}
        self.tokens = 0

    def take(self, step: Step) -> None:
        """One step."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            kind, loss = self._loss(step)
        self.losses[kind].append(self.optimizer.backward(loss))
        done, total = self.optimizer.steps, len(self.plan)
        self.optimizer.step(linear_rate(done, self.settings.warmup_steps, self.settings.copy_steps, total, FLOOR))

    def _loss(self, step: Step) -> tuple[str, Tensor]:
        if step.world is None:
            batch = copy_batch(self.alphabet, self.settings.batch_size, self.rng)
            return "copy", self._spelled(batch)
        world = self.worlds[step.world]
        source: Sequence[Example] = world.listed if step.listed else world.spelled
        batch = collate([source[row] for row in step.rows], self.model.config.pad_token_id or 0)
        if not step.listed:
            return "spelled", self._spelled(batch)
        self.tokens += int(batch.attention_mask.sum())
        table = item_table(self.model, self.bags[step.world], self.norm.exp(), world.positions)
        return "listed", listed_loss(self.model, batch.to(self.device), table)

    def _spelled(self, batch: Batch) -> Tensor:
        self.tokens += int(batch.attention_mask.sum())
        sums, counts = response_loss(self.model, batch.to(self.device))
        return sums.sum() / counts.sum()

    def recent(self) -> dict[str, float]:
        """Mean of the last losses by kind, of the kinds that there were."""
        return {
            f"{kind}_loss": round(float(np.mean(values[-REPORTED_STEPS:])), 4)
            for kind, values in self.losses.items()
            if values
        }
