"""The epochs of a fine-tuning with curriculum: progress, the generator state of the current epoch, and the log.

A checkpoint holds everything that the rest of the run depends on, so an interrupted run ends with the same adapter as
an uninterrupted one. With several workers (data_parallel.py) all do the same; only the first writes files and calls
the probe. step/train_step.py makes a step.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from logging import getLogger
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, batches_by_length
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.early_stopping import EarlyStopping, other_tensors
from recbole_llmfashion.llm.finetuning.perplexity import hardest, perplexities, read_as
from recbole_llmfashion.llm.finetuning.step.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.step.optimizer import NotFiniteError
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.finetuning.validation import ValidationRows, validation_score
from recbole_llmfashion.stage_store import sha256, sha256_arrays
from recbole_llmfashion.tracking import Track, no_track

if TYPE_CHECKING:
    from peft import PeftModel

    from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings


class CurriculumRun:
    """Both phases of one fine-tuning: epochs over all prompts, then epochs over the hardest ones.

    Args:
        log: updated during the run; `log.model` is the model that is trained.
        examples: all training prompts.
        settings: of the fine-tuning.
        show_progress: whether to show progress bars.
        checkpoint: where the state is saved, and where `resume` reads it; None saves nothing.
        workers: this process among the data-parallel workers.
        validation: rows that each epoch is scored on; None with an early_stopping_patience of 0.
        item_tokens: ids of the item tokens.
        track: the first worker gives it the loss, learning rate and tokens per second of each step, the perplexity
            and format failures of each measurement, and the validation score of each epoch, by number of steps.

    Attributes:
        epochs_done, steps_done: complete epochs, and steps of the current epoch.
        hard: indices of the prompts of the second phase; None until they are chosen.
        extra_epochs: epochs over those prompts.
    """

    def __init__(
        self,
        log: "FinetuneLog",
        examples: Sequence[Example],
        settings: "FinetuneSettings",
        show_progress: bool,
        checkpoint: CheckpointFolder | None,
        workers: Workers = SINGLE_PROCESS,
        validation: ValidationRows | None = None,
        item_tokens: range = range(0),
        track: Track = no_track,
    ) -> None:
        self.log, self.examples, self.settings, self.workers = log, examples, settings, workers
        self.track = track if workers.first else no_track
        self.show_progress = show_progress and workers.first
        self.model, self.checkpoint, self.started = log.model, checkpoint, time.monotonic()
        self.rng = np.random.default_rng(settings.seed)
        self.extra_epochs = max(0, settings.curriculum_epochs - settings.epochs)
        self.hard_count = round(settings.curriculum_share * len(examples)) if self.extra_epochs else 0
        total = settings.epochs * self._steps(len(examples)) + self.extra_epochs * self._steps(self.hard_count)
        self.train_step = TrainStep(
            log.model,
            examples,
            settings.learning_rate,
            settings.weight_decay,
            settings.max_grad_norm,
            warmup=ceil(settings.warmup_ratio * total),
            total=total,
            micro_batch=settings.batch_size,
            item_embedding_lr=settings.item_embedding_lr,
            workers=workers,
            scheduler=settings.lr_scheduler_type,
            item_tokens=item_tokens,
            history_dropout=settings.history_dropout,
            label_smoothing=settings.label_smoothing_factor,
            gradient_checkpointing=settings.gradient_checkpointing,
            torch_compile=settings.torch_compile,
            cuda_graphs=settings.cuda_graphs,
            fast_dropout=settings.fast_dropout,
        )
        log.losses = self.train_step.losses
        log.trainable_parameters = sum(p.numel() for p in self.train_step.optimizer.parameters)
        self.validation = validation
        self.stopping = EarlyStopping(self.train_step.optimizer.parameters, settings.early_stopping_patience)
        log.validation = self.stopping.scores
        self.hard: np.ndarray | None = None
        self.epochs_done = self.steps_done = 0
        self._epoch_rng_state = self.rng.bit_generator.state  # as it was before the current epoch's batches were drawn

    def _steps(self, examples: int) -> int:
        return ceil(ceil(examples / self.settings.batch_size) / self.settings.gradient_accumulation_steps)

    def epoch(self, chosen: np.ndarray, name: str) -> None:
        """Runs one epoch over the examples `chosen`, or the rest of a resumed one.

        Args:
            chosen: int [n] indices into the examples.
            name: for the progress bar.
        """
        self.model.train()
        batches = [
            chosen[b] for b in batches_by_length(self.train_step.lengths[chosen], self.settings.batch_size, self.rng)
        ]
        group = self.settings.gradient_accumulation_steps
        starts = range(self.steps_done * group, len(batches), group)
        for start in tqdm(starts, desc=f"fine-tuning, {name}", unit="step", disable=not self.show_progress):
            self._step(batches[start : start + group])
        if self.validation is not None:
            self._validate(self.validation)
        self.epochs_done, self.steps_done = self.epochs_done + 1, 0
        self._epoch_rng_state = self.rng.bit_generator.state

    def _validate(self, rows: ValidationRows) -> None:
        size = self.train_step.micro_batch
        self.stopping.add(validation_score(self.model, rows, size, self.show_progress, self.workers))
        self._track({"validation_score": self.stopping.scores[-1]})

    def _track(self, values: Mapping[str, float]) -> None:
        self.track(self.train_step.optimizer.steps, values)

    def _step(self, batches: list[np.ndarray]) -> None:
        self.workers.seed(self.settings.seed, self.train_step.optimizer.steps)
        start, tokens = time.monotonic(), self.train_step.tokens
        try:
            loss = self.train_step.step(batches)
        except NotFiniteError as error:
            raise NotFiniteError(f"{error}; {self._save_last_good()}") from None
        self.steps_done += 1
        speed = (self.train_step.tokens - tokens) / max(time.monotonic() - start, 1e-9)
        rate = self.train_step.optimizer.learning_rate
        self._track({"loss": loss, "learning_rate": rate, "tokens_per_second": speed})
        if self.checkpoint is not None and self.checkpoint.due(self.train_step.optimizer.steps):
            self.save()

    def _save_last_good(self) -> str:
        """Saves the current adapter if all of its weights are finite; returns where the last good adapter is."""
        if self.checkpoint is None:
            return "no adapter was saved"
        if all(bool(parameter.isfinite().all()) for parameter in self.train_step.optimizer.parameters):
            self.save()
        last = self.checkpoint.last()
        return f"the last good adapter is in {last}" if last else "no adapter was saved"

    def save(self) -> None:
        """Writes everything that the rest of the run depends on; only the first worker writes."""
        assert self.checkpoint is not None
        if not self.workers.first:
            return
        train_step = self.train_step
        state = {
            "fingerprint": self._fingerprint(),
            "optimizer": train_step.optimizer.numbers(),
            "place": [self.epochs_done, self.steps_done],
            "drawn_from": self._epoch_rng_state,
            "hard": None if self.hard is None else self.hard.tolist(),
            "micro_batch": train_step.micro_batch,
            "log": self.finish_log().summary(),
        }
        tensors = train_step.optimizer.moments() | self.stopping.tensors()
        self.checkpoint.save(train_step.optimizer.steps, self.model, tensors, state)

    def resume(self) -> bool:
        """Restores the state of the last checkpoint; returns False without one.

        Raises:
            UserError: the checkpoint belongs to other settings or prompts, or cannot be read.
        """
        loaded = self.checkpoint.load(self.model) if self.checkpoint is not None else None
        if loaded is None:
            return False
        tensors, state = loaded
        if state["fingerprint"] != self._fingerprint():
            path = self.checkpoint.path if self.checkpoint else ""
            raise UserError(
                f"{path}: the checkpoint is of a fine-tuning with other settings or prompts; remove it to start again"
            )
        train_step, log = self.train_step, state["log"]
        train_step.optimizer.restore(other_tensors(tensors), state["optimizer"])
        self.stopping.load(tensors, log.get("validation", []))  # checkpoints of earlier releases have none
        train_step.losses[:] = log.pop("losses")
        train_step.tokens, train_step.halvings = log["tokens"], log["halvings"]
        train_step.micro_batch = state["micro_batch"]
        vars(self.log).update(log | {"validation": self.stopping.scores})
        self.log.resumed_at.append(train_step.optimizer.steps)
        getLogger(__name__).info(f"fine-tuning: resumed after step {train_step.optimizer.steps}")
        self.started -= log["seconds"]
        self.epochs_done, self.steps_done = state["place"]
        self._epoch_rng_state = self.rng.bit_generator.state = state["drawn_from"]
        self.hard = None if state["hard"] is None else np.asarray(state["hard"], int)
        return True

    def _fingerprint(self) -> str:
        arrays = [array for example in self.examples for array in example.arrays()]
        if self.validation is not None:
            arrays += self.validation.arrays()
        return sha256([self.settings.stage_inputs(), sha256_arrays(*arrays)])

    def finish_log(self) -> "FinetuneLog":
        """Brings the log up to date and returns it."""
        self.log.tokens, self.log.halvings = self.train_step.tokens, self.train_step.halvings
        self.log.micro_batch = self.train_step.micro_batch
        self.log.hard_examples = self.hard_count if self.hard is None else len(self.hard)
        self.log.best_epoch = self.stopping.best_epoch
        self.log.seconds = round(time.monotonic() - self.started, 1)
        return self.log

    def perplexities(self, examples: Sequence[Example]) -> np.ndarray:
        """float64 [n], perplexity of each example's response under the current adapter."""
        return perplexities(self.model, examples, self.train_step.micro_batch, self.show_progress, self.workers)

    def measure(self, point: str, probe: Callable[["PeftModel"], float] | None) -> None:
        """Logs the perplexity of a fixed sample and the probe's value; does not change the training's random numbers.

        Args:
            point: key in the log.
            probe: share of format failures of a model; None for none.
        """
        size = min(self.settings.perplexity_sample, len(self.examples))
        sample = np.linspace(0, len(self.examples) - 1, size).astype(int)
        values = self.perplexities([self.examples[i] for i in sample])
        self.log.perplexity[point] = {"mean": float(values.mean()), "median": float(np.median(values))}
        self._track({f"perplexity_{name}": value for name, value in self.log.perplexity[point].items()})
        # agreed on: a probe that finds no memory for one prompt ends the other workers too
        failures = None if probe is None else self.workers.agree(lambda: self._probed(probe))
        if failures is not None:
            self.log.format_failures[point] = failures
            self._track({"format_failures": failures})

    def _probed(self, probe: Callable[["PeftModel"], float]) -> float | None:
        """The probe's value; None on every worker but the first."""
        if not self.workers.first:
            return None
        with torch.random.fork_rng():
            self.model.eval()
            return float(probe(self.model))

    def _choose(self) -> np.ndarray:
        if self.settings.curriculum_choice == "random":
            # a separate generator, so that both choices draw the same batches
            permutation = np.random.default_rng([self.settings.seed, 1]).permutation(len(self.examples))
            return np.sort(permutation[: self.hard_count])
        measured = read_as(self.examples, self.settings.curriculum_perplexity)
        return hardest(self.perplexities(measured), self.settings.curriculum_share)

    def choose_hard(self) -> None:
        """Chooses the prompts of the second phase and saves a checkpoint, because the choice is expensive."""
        train = self.hard_count and not self.stopping.stop
        self.hard = self._choose() if train else np.empty(0, int)
        if self.checkpoint is not None and self.checkpoint.every:
            self.save()
