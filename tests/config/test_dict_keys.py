"""Dict keys by themselves: their dataclasses, old flat names, and what names of stages are made of."""

import inspect
from dataclasses import fields

import pytest

from recbole_llmfashion.config.dict_keys import DICT_KEYS, defaults, merge_keys
from recbole_llmfashion.config.keys import RENAMED_KEYS, first_release_names, todays_names
from recbole_llmfashion.errors import UserError


@pytest.mark.parametrize("key", DICT_KEYS)
def test_every_field_is_one_of_the_dataclass_and_explained_there(key):
    own = DICT_KEYS[key]
    known = [field.name for field in fields(own.settings)]
    assert set(own.fields) <= set(known)
    for field in own.fields:
        assert f"\n    {field}: " in inspect.getdoc(own.settings), field


# Fields that the first release did not have: a study's row has them by their dotted names.
LATER = ["title_model.max_length", "title_model.mined", "title_model.mining_start_epoch"]


@pytest.mark.parametrize("key", DICT_KEYS)
def test_every_field_has_one_name_in_a_studys_row(key):
    """Else the row would not depend on it."""
    named = [new for new, _ in RENAMED_KEYS.values()] + LATER
    assert [field for field in DICT_KEYS[key].fields if named.count(f"{key}.{field}") != 1] == []
    assert set(LATER) <= first_release_names({"title_model": defaults("title_model")}).keys()


def test_names_of_the_first_release_there_and_back():
    today = {"num_beams": 20, "seed": 1} | {key: defaults(key) for key in DICT_KEYS}
    first = first_release_names(today)
    assert first == {
        "beams": 20, "seed": 1,
        "clip_width": 64, "clip_layers": 2, "clip_epochs": 3, "clip_batch_size": 256, "clip_learning_rate": 1e-3,
        "title_embedding_size": 64, "title_hidden_size": 128, "title_epochs": 8, "title_batch_size": 128,
        "title_learning_rate": 1e-3, "title_margin": 0.2,
        "recformer_attribute_tokens": 24, "recformer_type_init": "broadcast", "recformer_attention_window": 32,
        "recformer_compute_dtype": "auto", "recformer_vocab_size": 2048, "recformer_width": 128, "recformer_layers": 3,
        "recformer_heads": 4, "recformer_pretrain_batch_size": 16, "recformer_pretrain_learning_rate": 1e-3,
        "recformer_mlm_weight": 0.1, "recformer_mask_share": 0.15, "recformer_freeze_words": "none",
        "recformer_stage1_patience": 5, "recformer_stage2_patience": 3, "recformer_eval_every": 1,
        "recformer_gradient_accumulation": 1, "recformer_warmup_steps": 20, "recformer_weight_decay": 0.0,
        "recformer_temperature": 0.05, "recformer_encode_tokens": 16384,
        "title_model.max_length": 24, "title_model.mined": 4, "title_model.mining_start_epoch": 1,
    }  # fmt: skip
    assert {type(value) for value in first.values()} == {int, float, str} and type(first["clip_learning_rate"]) is float
    assert todays_names(first) == today


def test_todays_names_take_both_forms():
    mixed = {"title_epochs": 1, "title_model": {"hidden": 3}, "title_model.margin": 0.1, "template": "paper"}
    found = {"title_model": {"epochs": 1, "hidden": 3, "margin": 0.1}, "prompt_template": "paper"}
    assert todays_names(mixed) == found
    with pytest.raises(UserError, match=r"title_model\.epochs is given twice"):
        todays_names({"title_epochs": 1, "title_model": {"epochs": 1}})


def test_layers_share_no_dict():
    below = {"clip": {"epochs": 1}}
    merged = merge_keys([("a", below), ("b", {"clip": {"width": 2}, "eval_args": {"mode": "full"}})])
    assert merged == {"clip": {"epochs": 1, "width": 2}, "eval_args": {"mode": "full"}}
    assert below == {"clip": {"epochs": 1}}
    assert merge_keys([("a", {"eval_args": {"order": "TO"}}), ("b", {"eval_args": {"mode": "full"}})]) == {
        "eval_args": {"mode": "full"}  # RecBole's own dicts are replaced whole
    }
