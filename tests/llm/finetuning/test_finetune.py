import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning import curriculum as passes_module
from recbole_llmfashion.llm.finetuning import train_step as training_module
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.perplexity import hardest, perplexities
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.modeling.adapter import FALCON_TARGETS, save_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings, pretrain
from recbole_llmfashion.llm.pretraining.simulated_shops import SimulatedShop
from tests.helpers.training import add_adapter

Examples = Callable[[int, int], list[Example]]
FAST = FinetuneSettings(learning_rate=5e-3, batch_size=8, seed=4)


def test_the_papers_numbers_are_the_defaults() -> None:
    settings = FinetuneSettings()
    assert (settings.lora_r, settings.lora_alpha, settings.lora_dropout) == (16, 16, 0.05)
    assert (settings.learning_rate, settings.epochs, settings.curriculum_share, settings.curriculum_epochs) == (
        2e-5,
        1,
        0.2,
        3,
    )


def test_perplexity_is_the_exponential_of_the_mean_loss(plain: Backbone, random_examples: Examples) -> None:
    examples = random_examples(7, 0)
    values = perplexities(plain.model, examples, 3, False)
    for example, value in zip(examples, values, strict=True):
        batch = collate([example], 0)
        with torch.no_grad():
            logits = plain.model(batch.input_ids).logits[0].log_softmax(-1)
        start, end = len(example.prompt), len(example)
        token = logits[torch.arange(start - 1, end - 1), batch.input_ids[0, start:end]]
        assert value == pytest.approx(float(torch.exp(-token.mean())), rel=1e-4)


def test_the_hardest_by_hand() -> None:
    values = np.asarray([3.0, 9.0, 1.0, 9.0, 5.0, 2.0, 9.0, 0.5, 0.1, 0.2])
    assert hardest(values, 0.2).tolist() == [1, 3]
    assert hardest(values, 0.4).tolist() == [1, 3, 4, 6]
    assert hardest(values, 0.0).tolist() == [] and len(hardest(values, 1.0)) == 10


def test_each_prompt_trains_once_and_the_hardest_fifth_three_times(
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

    monkeypatch.setattr(training_module, "collate", count)
    monkeypatch.setattr(passes_module, "perplexities", lambda *_: hard)
    log = finetune(nf4, examples, FinetuneSettings(batch_size=4), show_progress=False)
    assert seen.tolist() == [3, 3, 3, 3] + [1] * 16
    assert log.hard_examples == 4 and len(log.losses) == 5 + 2
    assert log.tokens == sum(len(e) for e in examples) + 2 * sum(len(e) for e in examples[:4])


def test_as_many_prompts_by_chance_train_longer(
    nf4: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, chosen = random_examples(20, 1), []
    sample = [example.arrays()[1].tobytes() for example in examples]

    def count(batch: list[Example], pad: int) -> Any:
        chosen.append([sample.index(example.arrays()[1].tobytes()) for example in batch])
        return collate(batch, pad)

    asked: list[int] = []
    monkeypatch.setattr(training_module, "collate", count)
    monkeypatch.setattr(passes_module, "perplexities", lambda _, some, *__: asked.append(len(some)) or np.zeros(20))
    settings = FinetuneSettings(batch_size=4, seed=4, curriculum_choice="random", perplexity_sample=7)
    log = finetune(nf4, examples, settings, show_progress=False)
    twice = [sorted(batch) for batch in chosen[5:]]
    assert log.hard_examples == 4 and len(twice) == 2 and twice[0] == twice[1] and len(set(twice[0])) == 4
    assert twice[0] != [0, 1, 2, 3] and asked == [7, 7, 7]  # at the three points alone: no prompt's hardness is read


def test_no_extra_passes_where_the_uniform_ones_are_enough(plain: Backbone, random_examples: Examples) -> None:
    log = finetune(plain, random_examples(8, 1), FinetuneSettings(batch_size=4, epochs=3), show_progress=False)
    assert log.hard_examples == 0 and len(log.losses) == 6


def test_all_four_projections_move_and_the_base_stays(nf4: Backbone, random_examples: Examples) -> None:
    before = {name: value.clone() for name, value in nf4.model.state_dict().items() if "absmax" not in name}
    log = finetune(nf4, random_examples(24, 2), FAST, show_progress=False)
    moved = {
        name.split(".lora_B")[0].rsplit(".", 1)[-1]
        for name, value in log.model.named_parameters()
        if "lora_B" in name and value.abs().max() > 0
    }
    assert moved == set(FALCON_TARGETS)
    after = log.model.get_base_model().state_dict()
    for name, value in before.items():
        layer, leaf = name.rsplit(".", 1) if "weight." not in name else name.split(".weight.", 1)
        key = name if name in after else f"{layer}.base_layer.{'weight.' if 'weight.' in name else ''}{leaf}"
        assert torch.equal(value, after[key]), name
    assert all(p.grad is None for n, p in log.model.named_parameters() if "lora" not in n)


@pytest.fixture(scope="module")
def copying(ids_in_prompts: Callable[..., list[Example]]) -> Any:
    """A model that copies the two tokens after a mark."""
    base = new_tiny_falcon(24, 32, 2, 2, seed=0)
    learning = BackbonePretrainSettings(
        copy_steps=0, spelled_passes=4, batch_size=64, learning_rate=1e-2, warmup_steps=10, weight_decay=0.01, seed=1
    )
    shop = SimulatedShop("copying", [], [], ids_in_prompts(1500, 1, 24, 1), np.zeros(0, np.int64))
    pretrain(base, [shop], learning, show_progress=False)
    return base


@pytest.mark.parametrize("shuffled", [False, True])
def test_an_adapter_learns_on_structure_and_stays_low_on_shuffled_responses(
    ids_in_prompts: Callable[..., list[Example]], copying: Any, shuffled: bool
) -> None:
    """A base that copies the two tokens after the mark is tuned to say them the other way round."""
    base = deepcopy(copying)

    def turned(n: int, seed: int, shuffled: bool) -> list[Example]:
        examples = ids_in_prompts(n, seed, 24, 1, shuffled)
        return [Example(e.prompt, e.response[[1, 0, 2]]) for e in examples]

    settings = FinetuneSettings(learning_rate=2e-2, batch_size=32, epochs=2, seed=1)
    log = finetune(Backbone(base, None, "copying", 0), turned(1000, 2, shuffled), settings, show_progress=False)
    held_out = perplexities(log.model, turned(200, 3, False), 100, False)
    if shuffled:
        assert np.median(held_out) > 4
    else:
        assert np.median(held_out) < 1.5
        assert log.perplexity["after_hard"]["mean"] < log.perplexity["before"]["mean"] / 4


def test_same_seed_same_adapter_bytes_probe_or_not(folder: Path, tmp_path: Path, random_examples: Examples) -> None:
    examples = random_examples(16, 3)
    calls: list[float] = []

    def probe(model: Any) -> float:
        assert not model.training
        torch.rand(5)  # a probe that draws random numbers and generates must not change the training
        calls.append(0.25)
        return 0.25

    digests = []
    for name, seed, chosen in (("a", 4, None), ("b", 4, probe), ("c", 5, None)):
        settings = FinetuneSettings(learning_rate=5e-3, batch_size=8, seed=seed)
        torch.manual_seed(len(digests))
        log = finetune(load_backbone(str(folder), device="cpu"), examples, settings, False, chosen)
        save_adapter(log.model, tmp_path / name)
        digests.append((tmp_path / name / "adapter_model.safetensors").read_bytes())
        points = ["before", "after_uniform", "after_hard"]
        assert list(log.perplexity) == points
        assert log.format_failures == (dict.fromkeys(points, 0.25) if chosen else {})
        assert json.loads(json.dumps(log.summary(), allow_nan=False))["trainable_parameters"] == 32768
    assert digests[0] == digests[1] and digests[0] != digests[2]
    assert len(calls) == 3


def test_accumulated_batches_are_one_batch(folder: Path, random_examples: Examples) -> None:
    """The mean is over the response tokens of the whole group, not a mean of means."""
    adapters = []
    for batch_size, accumulation, checkpointing in ((8, 1, False), (2, 4, False), (8, 1, True)):
        settings = FinetuneSettings(
            learning_rate=1e-2,
            lora_dropout=0.0,
            batch_size=batch_size,
            gradient_accumulation_steps=accumulation,
            curriculum_share=0.0,
            gradient_checkpointing=checkpointing,
        )
        backbone = load_backbone(str(folder), "none", device="cpu")
        log = finetune(backbone, random_examples(8, 4), settings, show_progress=False)
        adapters.append((log.losses, [p for p in log.model.parameters() if p.requires_grad]))
    for losses, parameters in adapters[1:]:
        assert losses == pytest.approx(adapters[0][0], rel=1e-5)
        for one, other in zip(parameters, adapters[0][1], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_generation_before_training_changes_nothing(folder: Path, random_examples: Examples) -> None:
    """Trap: on some CPUs the first forward in eval mode takes the gradient of quantized layers away for good."""
    examples = random_examples(2, 5)
    gradients = []
    for warm in (False, True):
        backbone = load_backbone(str(folder), device="cpu")
        model = add_adapter(backbone, FinetuneSettings(lora_dropout=0.0))
        if warm:
            perplexities(model, examples, 2, False)
        model.train()
        training_module.response_loss(model, collate(examples, 0))[0].sum().backward()
        gradients.append([p.grad for n, p in model.named_parameters() if "lora_B" in n])
    for cold, warmed in zip(*gradients, strict=True):
        torch.testing.assert_close(cold, warmed)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (FinetuneSettings(curriculum_share=1.5), "curriculum_share"),
        (FinetuneSettings(epochs=0), "llm_epochs"),
        (FinetuneSettings(gradient_accumulation_steps=0), "gradient_accumulation_steps"),
    ],
)
def test_settings_without_sense_are_refused(
    plain: Backbone, random_examples: Examples, settings: FinetuneSettings, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        finetune(plain, random_examples(2, 0), settings, show_progress=False)


def test_no_example_is_refused(plain: Backbone) -> None:
    with pytest.raises(UserError, match="no training prompt"):
        finetune(plain, [], FinetuneSettings(), show_progress=False)


def test_nan_stops(plain: Backbone, random_examples: Examples) -> None:
    with torch.no_grad():
        plain.model.transformer.ln_f.weight.fill_(torch.nan)
    with pytest.raises(UserError, match="loss is nan"):
        finetune(plain, random_examples(4, 0), FAST, show_progress=False)
