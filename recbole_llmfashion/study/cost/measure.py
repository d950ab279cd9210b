"""What it costs to answer the prompts of validation users with a trained model.

The stages come from the store, so that only the answers are computed, and computed again: once to warm up, then ROUNDS
times. Test rows are not read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import make_loaders, rows_of, sample_rows, sampler_of, stage_root
from recbole_llmfashion.pipeline.pipeline import Pipeline, own_pipeline
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.quick_start.peak_memory import PeakMemory
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.study.cost.energy import Meter

ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """The cost of one user's answer by the LLM; the lists that are joined with it are not in it.

    Args:
        tokens: mean length of a prompt.
        milliseconds: wall time, median of ROUNDS.
        processor_milliseconds: time of all threads on a processor, median of ROUNDS.
        peak_mb: largest resident size of the process while it loads the model and answers, in MB.
        joules: median of ROUNDS by the machine's counter; None without one.
        users: number of users.
        threads: of torch.
    """

    tokens: float
    milliseconds: float
    processor_milliseconds: float
    peak_mb: float
    joules: float | None
    users: int
    threads: int

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Cost":
        """Inverse of `as_json`."""
        return cls(**fields)


def measure(config: LLMFashionConfig, users: int) -> Cost:
    """Answers the prompts of some validation users, the same in every run.

    Args:
        config: of LLMFashionRec; its stages are trained where the store has none.
        users: number of users at most.
    """
    loaders = make_loaders(config)
    with PeakMemory() as memory:
        pipeline = own_pipeline(config, loaders.dataset, StageStore(stage_root(config)), lambda: None)
        train, valid = (
            LLMFashionRecDataLoader(config, rows_of(loader), sampler_of(loader), training=loader is loaders.train)
            for loader in (loaders.train, loaders.valid)
        )
        for _ in pipeline.train(train, valid):
            pass
        valid.set_builder(pipeline.inference.builder)
        prompts = [row.prompt.ids for row in valid.rows(sample_rows(valid, users))]
        meters = [_answer(pipeline, prompts) for _ in range(ROUNDS + 1)][1:]
    joules = [meter.joules for meter in meters if meter.joules is not None]
    return Cost(
        sum(map(len, prompts)) / len(prompts),
        1e3 * median(meter.seconds for meter in meters) / len(prompts),
        1e3 * median(meter.processor_seconds for meter in meters) / len(prompts),
        memory.megabytes,
        median(joules) / len(prompts) if joules else None,
        len(prompts),
        torch.get_num_threads(),
    )


def _answer(pipeline: Pipeline, prompts: list[Any]) -> Meter:
    inference = pipeline.inference
    with Meter() as meter:
        inference.trained.llm.generate(prompts, inference.builder, inference.texts.titles)
    return meter
