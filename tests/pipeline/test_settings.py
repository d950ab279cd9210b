"""Keys to settings, with the values that properties/ and the dataclasses have."""

from dataclasses import asdict

import numpy as np
import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.embedding.settings import ClipSettings, TitleSettings
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.prompt.builder import PromptSettings


def config(**keys):
    return load_config(LLMFashionRec, "x", overrides=keys)


def test_dict_keys_are_their_dataclasses():
    assert settings.clip_settings(config(), 7) == ClipSettings(seed=7)
    assert settings.title_settings(config(), 7) == TitleSettings(seed=7)
    ours = config(clip={"epochs": 1, "width": 32}, **{"title_model.margin": 0.5})
    assert settings.clip_settings(ours, 7) == ClipSettings(epochs=1, width=32, seed=7)
    assert settings.title_settings(ours, 7) == TitleSettings(margin=0.5, seed=7)


@pytest.mark.parametrize(
    ("prompt_dates", "has_dates", "dates"), [("auto", True, True), ("auto", False, False), (True, False, True)]
)
def test_prompts(prompt_dates, has_dates, dates):
    found = settings.prompt_settings(config(prompt_dates=prompt_dates, memory_products=2), has_dates)
    assert found == PromptSettings(
        attributes=("category", "brand", "color", "size"),
        max_length=256,
        max_new_tokens=40,
        dates=dates,
        recalled=2,
        item_text=False,
    )


def test_fine_tuning():
    short = [Example(np.arange(1, 9), np.arange(1, 4))] * 4
    found = asdict(settings.finetune_settings(config(lora_target_modules=["dense"]), 7, short))
    assert found["lora_target_modules"] == ("dense",)
    names = ("lora_r", "lora_alpha", "lora_dropout", "learning_rate", "epochs", "batch_size", "seed")
    assert [found[name] for name in names] == [16, 16, 0.05, 2e-3, 6, 16, 7]
    long = [Example(np.arange(300), np.arange(1, 4), np.arange(1, 254, 2))] * 4  # 128 targets each
    assert settings.finetune_settings(config(), 7, long).batch_size == 2
    assert settings.finetune_settings(config(max_targets_per_batch=512), 7, long).batch_size == 4


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ranking": "best"}, "ranking: expected one of .*fusion.*, found 'best'"),
        ({"mixup_title_start": 1}, "mixup_title_start: expected one of m, 0, found '1'"),
        ({"mixup_m": -1}, "mixup_m: expected 0 or more, found -1"),
        ({"mixup_k": 0}, "mixup_k: expected 1 or more, found 0"),
        ({"save_steps": -1}, "save_steps: expected 0 or more, found -1"),
        ({"llm_batch_size": 0}, "num_train_workers: expected 1 to llm_batch_size .0.*, found 1"),
        ({"generation_batch_size": 0}, "generation_batch_size: expected 1 or more, found 0"),
        ({"prompt_attributes": ["price"]}, r"prompt_attributes: expected some of .*, found \['price'\]"),
        ({"clip_pretrained": "openai"}, "'openai' of ViT-B-32 were trained with QuickGELU.*ViT-B-32-quickgelu"),
        ({"clip_pretrained": "opnai"}, "'opnai' is neither a file nor a tag of ViT-B-32, whose tags are: openai, "),
        ({"clip_pretrained": 5}, "'5' is neither a file nor a tag"),
        ({"clip_pretrained": "openai", "clip_model": "ViT-B-23"}, "did you mean 'ViT-B-32'"),
        ({"num_train_workers": 17}, r"num_train_workers: expected 1 to llm_batch_size \(16\).*, found 17"),
    ],
)
def test_values_that_no_stage_can_use(keys, message):
    settings.validate_config(config())
    settings.validate_config(config(clip_model="ViT-B-32-quickgelu", clip_pretrained="openai"))
    with pytest.raises(UserError, match=message):
        settings.validate_config(config(**keys))
