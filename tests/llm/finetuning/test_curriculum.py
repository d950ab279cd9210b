"""Which prompts each phase trains, the number of steps, and the log."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning import curriculum
from recbole_llmfashion.llm.finetuning.curriculum import CurriculumRun
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings
from recbole_llmfashion.llm.finetuning.step import train_step
from recbole_llmfashion.llm.finetuning.step.data_parallel import Workers
from recbole_llmfashion.llm.finetuning.step.optimizer import Optimizer
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from tests.helpers.training import add_adapter, together

Examples = Callable[[int, int], list[Example]]


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests count forwards; test_kept_memory.py has the one that measures memory."""
    monkeypatch.setattr(train_step, "kept_bytes", lambda *_: 0)


def test_hardest_prompts_train_longer(
    nf4: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = random_examples(20, 1)
    place = {id(example): i for i, example in enumerate(examples)}
    seen = np.zeros(20, int)
    hard = np.arange(20.0)[::-1].copy()

    def count(chosen: list[Example], pad: int) -> Any:
        for example in chosen:
            seen[place[id(example)]] += 1
        return collate(chosen, pad)

    monkeypatch.setattr(train_step, "collate", count)
    monkeypatch.setattr(curriculum, "perplexities", lambda *_: hard)
    log = finetune(nf4, examples, FinetuneSettings(batch_size=4), show_progress=False)
    assert seen.tolist() == [3, 3, 3, 3] + [1] * 16
    assert log.hard_examples == 4 and len(log.losses) == 5 + 2
    assert log.tokens == sum(len(e) for e in examples) + 2 * sum(len(e) for e in examples[:4])


def test_random_prompts_train_longer(nf4: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    examples, chosen = random_examples(20, 1), []
    sample = [example.arrays()[1].tobytes() for example in examples]

    def count(batch: list[Example], pad: int) -> Any:
        chosen.append([sample.index(example.arrays()[1].tobytes()) for example in batch])
        return collate(batch, pad)

    sizes: list[int] = []
    monkeypatch.setattr(train_step, "collate", count)
    monkeypatch.setattr(curriculum, "perplexities", lambda _, some, *__: sizes.append(len(some)) or np.zeros(20))
    settings = FinetuneSettings(batch_size=4, seed=4, curriculum_choice="random", perplexity_sample=7)
    log = finetune(nf4, examples, settings, show_progress=False)
    twice = [sorted(batch) for batch in chosen[5:]]
    assert log.hard_examples == 4 and len(twice) == 2 and twice[0] == twice[1] and len(set(twice[0])) == 4
    assert twice[0] != [0, 1, 2, 3] and sizes == [7, 7, 7]  # only the sample at the three points is measured


def test_no_second_phase(plain: Backbone, random_examples: Examples) -> None:
    log = finetune(plain, random_examples(8, 1), FinetuneSettings(batch_size=4, epochs=3), show_progress=False)
    assert log.hard_examples == 0 and len(log.losses) == 6


def test_number_of_steps_and_hard_prompts(plain: Backbone, random_examples: Examples) -> None:
    """23 prompts in batches of 5, two batches per step: 3 steps per epoch; round(0.2 * 23) = 5 hard prompts."""
    settings = FinetuneSettings(batch_size=5, gradient_accumulation_steps=2, epochs=2, curriculum_epochs=5)
    log = FinetuneLog(add_adapter(plain, settings))
    run = CurriculumRun(log, random_examples(23, 0), settings, False, None)
    assert (run.hard_count, run.extra_epochs, run.hard) == (5, 3, None)
    assert (run.train_step.total, run.train_step.warmup) == (2 * 3 + 3 * 1, 1)
    assert log.trainable_parameters == sum(p.numel() for p in log.model.parameters() if p.requires_grad)
    run.epoch(np.arange(23), "all")
    assert (run.epochs_done, run.steps_done, len(log.losses), run.train_step.optimizer.steps) == (1, 0, 3, 3)
    assert not run.resume()  # there is no checkpoint folder


def test_hardest_by_the_reading_of_perplexity(
    plain: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With responses as hard as the prompt is long, and prompts the other way round, the two readings differ."""
    examples = sorted(random_examples(10, 1), key=lambda example: len(example.prompt))
    monkeypatch.setattr(
        curriculum, "perplexities", lambda _, some, *__: np.asarray([len(e.prompt) - 2 * len(e.response) for e in some])
    )
    chosen = {}
    for of in ("response", "prompt"):
        settings = FinetuneSettings(curriculum_perplexity=of)  # type: ignore[arg-type]
        run = CurriculumRun(FinetuneLog(plain.model), examples, settings, False, None)
        run.choose_hard()
        assert run.hard is not None
        chosen[of] = run.hard.tolist()
    by_response = np.asarray([len(e.prompt) - 2 * len(e.response) for e in examples])
    assert chosen["response"] == sorted(np.argsort(-by_response, kind="stable")[:2].tolist())
    by_prompt = np.asarray([1 - 2 * (len(e.prompt) - 1) for e in examples])
    assert chosen["prompt"] == sorted(np.argsort(-by_prompt, kind="stable")[:2].tolist())


def test_rates_of_both_phases(plain: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten prompts in batches of 5 are two steps per epoch; with the hardest two for two more epochs, four in all."""
    rates: list[float] = []
    step = Optimizer.step
    monkeypatch.setattr(Optimizer, "step", lambda self, rate: (rates.append(rate), step(self, rate))[1])
    expected = {
        ("linear", 0.5): [0.5, 1.0, 1.0, 0.5],
        ("linear", 0.0): [1.0, 0.75, 0.5, 0.25],
        ("cosine", 0.25): [1.0, 1.0, 0.75, 0.25],
        ("constant", 0.5): [1.0, 1.0, 1.0, 1.0],
        ("constant_with_warmup", 0.5): [0.5, 1.0, 1.0, 1.0],
    }
    for (scheduler, ratio), factors in expected.items():
        settings = FinetuneSettings(batch_size=5, warmup_ratio=ratio, lr_scheduler_type=scheduler)  # type: ignore[arg-type]
        rates.clear()
        finetune(plain, random_examples(10, 0), settings, show_progress=False)
        assert rates == pytest.approx(factors), (scheduler, ratio)


def test_measure_logs_a_fixed_sample(plain: Backbone, random_examples: Examples) -> None:
    settings = FinetuneSettings(perplexity_sample=3)
    examples = random_examples(9, 0)
    log = FinetuneLog(add_adapter(plain, settings))
    run = CurriculumRun(log, examples, settings, False, None)
    run.measure("before", lambda model: 0.25)
    values = run.perplexities([examples[0], examples[4], examples[8]])
    assert log.perplexity == {"before": {"mean": float(values.mean()), "median": float(np.median(values))}}
    assert log.format_failures == {"before": 0.25}


def test_a_probe_without_memory_ends_all_workers(folder: Path, random_examples: Examples) -> None:
    """Only the first worker asks the probe."""
    settings, examples = FinetuneSettings(perplexity_sample=2), random_examples(4, 0)

    def probe(_: Any) -> float:
        raise UserError("generation_batch_size: not enough GPU memory for one prompt")

    def work(ranks: Workers) -> None:
        log = FinetuneLog(add_adapter(load_backbone(str(folder), "none", device="cpu"), settings))
        CurriculumRun(log, examples, settings, False, None, ranks).measure("before", probe)

    outcome = together(2, work)
    assert [str(error) for error in outcome] == ["generation_batch_size: not enough GPU memory for one prompt"] * 2
