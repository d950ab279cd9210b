import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.perplexity import perplexities
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.modeling.adapter import FALCON_TARGETS, save_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from recbole_llmfashion.llm.pretraining.loop import BackbonePretrainSettings, pretrain
from recbole_llmfashion.llm.pretraining.shop_examples import ShopExamples

Examples = Callable[[int, int], list[Example]]
FAST = FinetuneSettings(learning_rate=5e-3, batch_size=8, seed=4)


def test_only_the_adapter_is_trained(nf4: Backbone, random_examples: Examples) -> None:
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


def test_settings_reach_adapter_and_optimizer(
    plain: Backbone, random_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[dict[str, Any]] = []
    adamw = torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda given, **rest: (groups.extend(given), adamw(given, **rest))[1])
    settings = replace(FAST, lora_r=3, lora_alpha=7, lora_dropout=0.2, weight_decay=0.3)
    log = finetune(plain, random_examples(8, 2), settings, show_progress=False)
    (config,) = log.model.peft_config.values()
    assert (config.r, config.lora_alpha, config.lora_dropout) == (3, 7, 0.2)
    layer = next(module for module in log.model.modules() if hasattr(module, "lora_dropout"))
    assert layer.scaling["default"] == 7 / 3 and layer.lora_dropout["default"].p == 0.2
    assert [group["weight_decay"] for group in groups if group["params"]] == [0.3]


@pytest.fixture(scope="module")
def copying(ids_in_prompts: Callable[..., list[Example]]) -> Any:
    """A model that copies the two tokens after a mark."""
    base = new_tiny_falcon(24, 32, 2, 2, seed=0)
    learning = BackbonePretrainSettings(
        copy_steps=0, spelled_passes=4, batch_size=64, learning_rate=1e-2, warmup_steps=10, weight_decay=0.01, seed=1
    )
    shop = ShopExamples("copying", [], [], ids_in_prompts(1500, 1, 24, 1), np.zeros(0, np.int64))
    pretrain(base, [shop], learning, show_progress=False)
    return base


@pytest.mark.parametrize("shuffled", [False, True])
def test_adapter_learns_structure_and_not_shuffled_responses(
    ids_in_prompts: Callable[..., list[Example]], copying: Any, shuffled: bool
) -> None:
    """A base that copies the two tokens after the mark learns to generate them in reverse order."""
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


def test_adapter_depends_on_the_seed_and_not_on_the_probe(
    folder: Path, tmp_path: Path, random_examples: Examples
) -> None:
    examples = random_examples(16, 3)
    calls: list[float] = []

    def probe(model: Any) -> float:
        assert not model.training
        torch.rand(5)  # a probe that draws random numbers must not change the training
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


def test_gradient_accumulation(folder: Path, random_examples: Examples) -> None:
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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (FinetuneSettings(curriculum_share=1.5), "curriculum_share"),
        (FinetuneSettings(epochs=0), "llm_epochs"),
        (FinetuneSettings(gradient_accumulation_steps=0), "gradient_accumulation_steps"),
    ],
)
def test_invalid_settings(plain: Backbone, random_examples: Examples, settings: FinetuneSettings, words: str) -> None:
    with pytest.raises(UserError, match=words):
        finetune(plain, random_examples(2, 0), settings, show_progress=False)


def test_no_examples(plain: Backbone) -> None:
    with pytest.raises(UserError, match="no training prompt"):
        finetune(plain, [], FinetuneSettings(), show_progress=False)


def test_nan_loss(plain: Backbone, random_examples: Examples) -> None:
    with torch.no_grad():
        plain.model.transformer.ln_f.weight.fill_(torch.nan)
    with pytest.raises(UserError, match="loss is nan"):
        finetune(plain, random_examples(4, 0), FAST, show_progress=False)
