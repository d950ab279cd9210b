"""A small fine-tuning with item tokens, and data-parallel workers as threads of one process."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings
from recbole_llmfashion.llm.finetuning.step import data_parallel
from recbole_llmfashion.llm.finetuning.step.data_parallel import Workers
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone, vocabulary_size
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from recbole_llmfashion.prompt.item_tokens import ItemTokens, atomic_tokens

ITEMS, PROMPTS = 12, 22
# 22 prompts in batches of 5, 5, 5, 5 and 2, two batches per step: 3 steps per epoch; then 2 epochs
# over the hardest 7 prompts, one step each
SETTINGS = FinetuneSettings(
    lora_r=4, lora_dropout=0.0, learning_rate=5e-3, batch_size=5, gradient_accumulation_steps=2, epochs=2,
    curriculum_share=1 / 3, curriculum_epochs=4, item_embedding_lr=0.5, seed=4,
)  # fmt: skip
STEPS = 8


def item_tokens(folder: str) -> ItemTokens:
    """Twelve items of two words each."""
    rng = np.random.default_rng(1)
    first = vocabulary_size(folder, list(range(5)))
    return atomic_tokens(rng.permutation(ITEMS), first, [rng.integers(5, 200, 2) for _ in range(ITEMS)], "twelve")


def add_adapter(backbone: Backbone, settings: FinetuneSettings) -> Any:
    """A new adapter as `finetune` creates it."""
    return new_adapter(
        backbone,
        settings.lora_r,
        settings.lora_alpha,
        settings.lora_dropout,
        settings.lora_target_modules,
        settings.seed,
    )


def examples(index: ItemTokens, count: int = PROMPTS) -> list[Example]:
    """Random prompts that contain an item; the response is an item."""
    rng = np.random.default_rng(2)
    prompts = []
    for _ in range(count):
        prompt = rng.integers(5, 200, rng.integers(4, 18)).astype(np.int32)
        prompt[1] = index.ids[rng.integers(ITEMS)][0]
        prompts.append(Example(prompt, np.r_[index.ids[rng.integers(ITEMS)], 1].astype(np.int32), np.asarray([1])))
    return prompts


def train(
    folder: str,
    ranks: Workers,
    checkpoint: CheckpointFolder | None = None,
    settings: FinetuneSettings = SETTINGS,
    count: int = PROMPTS,
) -> FinetuneLog:
    """The fine-tuning of one worker with a freshly loaded backbone."""
    index = item_tokens(folder)
    backbone = load_backbone(folder, "none", device="cpu")
    add_item_tokens(backbone, index)
    return finetune(backbone, examples(index, count), settings, False, lambda _: 0.5, checkpoint, ranks)


def trained(log: FinetuneLog) -> torch.Tensor:
    """All trained parameters as one vector."""
    return torch.cat([p.detach().flatten() for p in log.model.parameters() if p.requires_grad])


class Threads:
    """Replaces torch.distributed by threads. One thread runs at a time; the next one runs when it waits for the others.

    So random numbers and patches between two collective calls belong to one worker, as in a process.
    """

    def __init__(self, count: int) -> None:
        self._turn, self._here = threading.Lock(), threading.Barrier(count)
        self._given: list[Any] = [None] * count
        self._own = threading.local()
        self.sums = 0

    def _wait(self) -> None:
        self._turn.release()
        try:
            self._here.wait(60)
        finally:
            self._turn.acquire()

    def _share(self, value: Any) -> list[Any]:
        self._given[self._own.rank] = value
        self._wait()
        values = list(self._given)
        self._wait()
        return values

    def all_reduce(self, tensor: torch.Tensor) -> None:
        """Sum over all threads, as in torch.distributed."""
        self.sums += 1
        tensor.copy_(torch.stack(self._share(tensor.clone())).sum(0))

    def all_gather_object(self, objects: list[Any], own: Any) -> None:
        """As in torch.distributed."""
        objects[:] = self._share(own)

    def run(self, work: Callable[[int], Any], rank: int, outcome: list[Any]) -> None:
        """Runs one worker; called in a thread of its own."""
        self._own.rank = rank
        with self._turn:
            try:
                outcome[rank] = work(rank)
            except UserError as error:  # all of them raise it
                outcome[rank] = error
            except Exception as error:  # as if a process ends
                outcome[rank] = error
                self._here.abort()


def together(count: int, work: Callable[[Workers], Any]) -> list[Any]:
    """What each worker returned or raised; an error that only one worker raises ends the others."""
    threads, outcome = Threads(count), [None] * count
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_parallel, "distributed", threads)
        running = [
            threading.Thread(target=threads.run, args=(lambda rank: work(Workers(rank, count)), rank, outcome))
            for rank in range(count)
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    return outcome


def checkpoint(path: Path, every: int) -> CheckpointFolder:
    """A checkpoint folder."""
    return CheckpointFolder(path, every)


def with_dropout() -> FinetuneSettings:
    """The same settings with dropout."""
    return replace(SETTINGS, lora_dropout=0.3)
