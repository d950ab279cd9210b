"""The passes of a fine-tuning: what was done of which one, from what its batches were drawn, and the log.

All that the rest of a run depends on goes into a checkpoint, so a killed run ends as an undisturbed one. Of several
workers (ranks.py) all do the same, and the first alone writes and probes. Knows token ids only, and not how a step is
made.
"""

import time
from collections.abc import Callable, Sequence
from logging import getLogger
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, batches_by_length
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.optimizer import NotFiniteError
from recbole_llmfashion.llm.finetuning.perplexity import hardest, perplexities
from recbole_llmfashion.llm.finetuning.train_step import TrainStep
from recbole_llmfashion.stage_store import sha256, sha256_arrays

if TYPE_CHECKING:
    from peft import PeftModel

    from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings


class CurriculumRun:
    """The steps of one fine-tuning, both phases.

    Args:
        log: filled as it goes; its model is trained.
        examples: all prompts.
        settings: of the fine-tuning.
        show_progress: bars.
        checkpoint: where the state is saved, and taken from by `resume`; None keeps nothing.
        ranks: the workers that do it together.

    Attributes:
        passed, done: whole passes so far, and steps of the present one.
        hard: the prompts that train longer, once they are chosen.
    """

    def __init__(
        self,
        log: "FinetuneLog",
        examples: Sequence[Example],
        settings: "FinetuneSettings",
        show_progress: bool,
        checkpoint: CheckpointFolder | None,
        ranks: Workers = SINGLE_PROCESS,
    ) -> None:
        self.log, self.examples, self.settings, self.ranks = log, examples, settings, ranks
        self.show_progress = show_progress and ranks.first
        self.model, self.checkpoint, self.started = log.model, checkpoint, time.monotonic()
        self.rng = np.random.default_rng(settings.seed)
        self.hard_passes = max(0, settings.curriculum_epochs - settings.epochs)
        self.hard_count = round(settings.curriculum_share * len(examples)) if self.hard_passes else 0
        total = settings.epochs * self._steps(len(examples)) + self.hard_passes * self._steps(self.hard_count)
        self.training = TrainStep(
            log.model,
            examples,
            settings.learning_rate,
            settings.weight_decay,
            settings.max_grad_norm,
            warmup=ceil(settings.warmup_share * total),
            total=total,
            micro_batch=settings.batch_size,
            item_embedding_lr=settings.item_embedding_lr,
            ranks=ranks,
        )
        log.losses = self.training.losses
        log.trainable_parameters = sum(p.numel() for p in self.training.optimizer.parameters)
        self.hard: np.ndarray | None = None
        self.passed = self.done = 0  # whole passes, and steps of the present one
        self.drawn_from = self.rng.bit_generator.state  # what the batches of the present pass are drawn from

    def _steps(self, examples: int) -> int:
        return ceil(ceil(examples / self.settings.batch_size) / self.settings.gradient_accumulation_steps)

    def epoch(self, chosen: np.ndarray, name: str) -> None:
        """One pass over some examples, or what is left of it."""
        self.model.train()
        batches = [
            chosen[b] for b in batches_by_length(self.training.lengths[chosen], self.settings.batch_size, self.rng)
        ]
        group = self.settings.gradient_accumulation_steps
        starts = range(self.done * group, len(batches), group)
        for start in tqdm(starts, desc=f"fine-tuning, {name}", unit="step", disable=not self.show_progress):
            self._step(batches[start : start + group])
        self.passed, self.done, self.drawn_from = self.passed + 1, 0, self.rng.bit_generator.state

    def _step(self, batches: list[np.ndarray]) -> None:
        self.ranks.seed(self.settings.seed, self.training.optimizer.steps)
        try:
            self.training.step(batches)
        except NotFiniteError as error:
            raise NotFiniteError(f"{error}; {self._rescue()}") from None
        self.done += 1
        if self.checkpoint is not None and self.checkpoint.due(self.training.optimizer.steps):
            self.save()

    def _rescue(self) -> str:
        """Keeps the adapter of the last step, unless there is a hole in it; says where the last good one is."""
        if self.checkpoint is None:
            return "no adapter was kept"
        if all(bool(parameter.isfinite().all()) for parameter in self.training.optimizer.parameters):
            self.save()
        last = self.checkpoint.last()
        return f"the last good adapter is kept in {last}" if last else "no adapter was kept"

    def save(self) -> None:
        """Writes everything that the rest of the run depends on, the first worker for all."""
        assert self.checkpoint is not None
        if not self.ranks.first:
            return
        training = self.training
        state = {
            "fingerprint": self._fingerprint(),
            "optimizer": training.optimizer.numbers(),
            "place": [self.passed, self.done],
            "drawn_from": self.drawn_from,
            "hard": None if self.hard is None else self.hard.tolist(),
            "micro_batch": training.micro_batch,
            "log": self.finish_log().summary(),
        }
        self.checkpoint.save(training.optimizer.steps, self.model, training.optimizer.moments(), state)

    def resume(self) -> bool:
        """Goes on from the checkpoint; False where there is none.

        Raises:
            UserError: it is of other settings or other prompts, or cannot be read.
        """
        loaded = self.checkpoint.load(self.model) if self.checkpoint is not None else None
        if loaded is None:
            return False
        moments, state = loaded
        if state["fingerprint"] != self._fingerprint():
            path = self.checkpoint.path if self.checkpoint else ""
            raise UserError(f"{path}: a fine-tuning with other settings or prompts is there; remove it to begin anew")
        training, log = self.training, state["log"]
        training.optimizer.restore(moments, state["optimizer"])
        training.losses[:] = log.pop("losses")
        training.tokens, training.halvings, training.micro_batch = log["tokens"], log["halvings"], state["micro_batch"]
        vars(self.log).update(log)
        self.log.resumed_at.append(training.optimizer.steps)
        getLogger(__name__).info(f"fine-tuning: goes on after step {training.optimizer.steps}")
        self.started -= log["seconds"]
        self.passed, self.done = state["place"]
        self.drawn_from = self.rng.bit_generator.state = state["drawn_from"]
        self.hard = None if state["hard"] is None else np.asarray(state["hard"], int)
        return True

    def _fingerprint(self) -> str:
        arrays = (array for example in self.examples for array in example.arrays())
        return sha256([self.settings.stage_inputs(), sha256_arrays(*arrays)])

    def finish_log(self) -> "FinetuneLog":
        """The log as it stands."""
        self.log.tokens, self.log.halvings = self.training.tokens, self.training.halvings
        self.log.micro_batch, self.log.hard_examples = self.training.micro_batch, self.hard_count
        self.log.seconds = round(time.monotonic() - self.started, 1)
        return self.log

    def perplexities(self, examples: Sequence[Example]) -> np.ndarray:
        """Of the adapter as it is."""
        return perplexities(self.model, examples, self.training.micro_batch, self.show_progress, self.ranks)

    def measure(self, point: str, probe: Callable[["PeftModel"], float] | None) -> None:
        """Logs perplexity on a fixed sample, and the probe; leaves the random numbers of the training alone."""
        size = min(self.settings.perplexity_sample, len(self.examples))
        sample = np.linspace(0, len(self.examples) - 1, size).astype(int)
        values = self.perplexities([self.examples[i] for i in sample])
        self.log.perplexity[point] = {"mean": float(values.mean()), "median": float(np.median(values))}
        if probe is not None and self.ranks.first:
            with torch.random.fork_rng():
                self.model.eval()
                self.log.format_failures[point] = float(probe(self.model))

    def _chosen(self) -> np.ndarray:
        if self.settings.curriculum_choice == "random":  # of its own, so that the batches are those of the other choice
            drawn = np.random.default_rng([self.settings.seed, 1]).permutation(len(self.examples))
            return np.sort(drawn[: self.hard_count])
        return hardest(self.perplexities(self.examples), self.settings.curriculum_share)

    def choose_hard(self) -> None:
        """Settles which prompts train longer; the checkpoint keeps it, for it costs a forward of every prompt."""
        self.hard = self._chosen() if self.hard_count else np.empty(0, int)
        if self.checkpoint is not None and self.checkpoint.every:
            self.save()
