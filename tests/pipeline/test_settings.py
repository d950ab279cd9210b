"""Keys to settings, with the values that properties/ and the dataclasses have."""

from dataclasses import asdict
from typing import get_args

import numpy as np
import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.values import allowed_values
from recbole_llmfashion.embedding.approximate_index import KINDS
from recbole_llmfashion.embedding.settings import ClipSettings, TitleSettings
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.generation.decoding_settings import ResponseTitle
from recbole_llmfashion.llm.modeling.backbone import ComputeDtype, Quantization
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.prompt.builder import PromptSettings
from recbole_llmfashion.prompt.item_tokens import ItemTokensName
from recbole_llmfashion.prompt.template import TEMPLATES
from recbole_llmfashion.prompt.training_examples import ResponseEvents
from recbole_llmfashion.retrieval.ranking import FALLBACKS, Ranking
from tests.helpers.fakes import ITEM, write_tiny


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


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, False),
        ({"loss_on_title": True}, True),
        ({"loss_on_title": "auto", "response_title": "generated"}, True),
        ({"loss_on_title": "auto", "decoding": "sample", "response_title": "generated"}, True),
        ({"loss_on_title": False, "response_title": "generated"}, False),
    ],
)
def test_loss_on_title_auto(keys, expected):
    assert settings.loss_on_title(config(**keys)) is expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, 0.2),
        ({"llm_name_or_path": "tiny-falcon-untrained"}, 0.2),
        ({"llm_name_or_path": str(TINY_FALCON_FOLDER)}, 0.2),
        ({"llm_name_or_path": "tiiuae/falcon-7b"}, None),
        ({"llm_name_or_path": "tiiuae/falcon-7b", "llm_dropout": 0.1}, 0.1),
        ({"llm_dropout": 0}, 0.0),
        ({"llm_dropout": None}, None),
    ],
)
def test_llm_dropout_auto(keys, expected):
    assert settings.llm_dropout(config(**keys)) == expected
    assert settings.backbone_needs(config(**keys)).dropout == expected


def test_fine_tuning():
    short = [Example(np.arange(1, 9), np.arange(1, 4))] * 4
    found = asdict(settings.finetune_settings(config(lora_target_modules=["dense"]), 7, short))
    assert found["lora_target_modules"] == ("dense",)
    names = ("lora_r", "lora_alpha", "lora_dropout", "learning_rate", "epochs", "batch_size", "seed")
    assert [found[name] for name in names] == [16, 16, 0.05, 4e-3, 4, 16, 7]
    kept = (
        "warmup_ratio",
        "lr_scheduler_type",
        "max_grad_norm",
        "curriculum_perplexity",
        "torch_compile",
        "fast_dropout",
    )
    assert [found[name] for name in kept] == [0.03, "linear", 1.0, "response", False, False]
    values = dict(zip(kept, (0.5, "cosine", 0.0, "prompt", True, True), strict=True))
    changed = asdict(settings.finetune_settings(config(**values), 7, short))
    assert {name: changed[name] for name in kept} == values
    assert settings.finetune_settings(config(cuda_graphs=True), 7, short).cuda_graphs and not found["cuda_graphs"]
    long = [Example(np.arange(300), np.arange(1, 4), np.arange(1, 254, 2))] * 4  # 128 targets each
    assert settings.finetune_settings(config(), 7, long).batch_size == 2
    assert settings.finetune_settings(config(max_targets_per_batch=512), 7, long).batch_size == 4


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"cuda_graphs": True}, "cuda_graphs: needs a CUDA GPU, found cpu; set cuda_graphs: False"),
        ({"decoding": "sample"}, "response_title: catalogue needs decoding: constrained"),
        ({"prompt_attributes": ["price"]}, "--dataset: unknown dataset 'x'"),
        ({"prompt_attributes": ["brand", "brand"]}, "prompt_attributes: expected distinct names, found"),
        ({"clip_pretrained": "openai"}, "'openai' of ViT-B-32 were trained with QuickGELU.*ViT-B-32-quickgelu"),
        ({"clip_pretrained": "opnai"}, "'opnai' is neither a file nor a tag of ViT-B-32, whose tags are: openai, "),
        ({"clip_pretrained": "openai", "clip_model": "ViT-B-23"}, "did you mean 'ViT-B-32'"),
    ],
)
def test_keys_that_do_not_go_together(keys, message):
    settings.validate_config(config())
    settings.validate_config(config(clip_model="ViT-B-32-quickgelu", clip_pretrained="openai"))
    with pytest.raises(UserError, match=message):
        settings.validate_config(config(**keys))


def test_choices_are_those_of_the_code():
    expected = {
        "ann_index": KINDS,
        "response_title": get_args(ResponseTitle),
        "compute_dtype": get_args(ComputeDtype),
        "quantization": get_args(Quantization),
        "item_tokens": get_args(ItemTokensName),
        "prompt_template": TEMPLATES,
        "empty_response_fallback": FALLBACKS,
        "ranking": get_args(Ranking),
        "response_events": get_args(ResponseEvents),
    }
    for key, words in expected.items():
        assert set(allowed_values(key).words.removeprefix("one of ").split(", ")) == set(words), key


def test_attributes_of_items(tmp_path):
    header, *rows = ITEM.splitlines()
    write_tiny(tmp_path, item="\n".join([f"{header}\tfit:token", *(f"{row}\tslim" for row in rows)]) + "\n")

    def validate(names):
        keys = {"data_path": str(tmp_path), "prompt_attributes": names}
        settings.validate_config(load_config(LLMFashionRec, "tiny", (), keys))

    validate(["fit", "size"])
    validate([])
    with pytest.raises(UserError, match=r"^prompt_attributes: .* brand, color, size, category, fit, found 'fits'$"):
        validate(["fits"])
