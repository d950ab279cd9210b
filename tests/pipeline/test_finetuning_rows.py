"""The rows of a fine-tuning: training prompts with their responses, and validation rows."""

import logging

import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.data.loaders import make_loaders, rows_of, sampler_of, stage_root
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline.finetuning_rows import training_examples, validation_rows
from recbole_llmfashion.pipeline.pipeline import own_pipeline
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.stage_store import StageStore
from tests.helpers.fakes import INTER, SMALL, write_tiny

PAPER = properties_folder() / "model/LLMFashionRec-paper.yaml"
CLICKS_ONLY = "u4\t11\tclick\t1701000000\nu4\t13\tclick\t1701000100\nu4\t14\tpurchase\t1701000200\n"


def training_texts(root, **keys):
    """The training prompts of the paper's setting, without their instruction, with their responses; and the report."""
    write_tiny(root, INTER + CLICKS_ONLY)
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    small = {**SMALL, **folders, "clip_pretrained": None, "max_length": 1024, **keys}
    config = load_config(LLMFashionRec, "tiny", (str(PAPER),), small)
    loaders = make_loaders(config)
    inference = own_pipeline(config, loaders.dataset, StageStore(stage_root(config)), lambda: None).inference
    rows = LLMFashionRecDataLoader(config, loaders.train._dataset, loaders.train._sampler, training=True)
    decode = inference.trained.llm.tokenizer.decode
    texts = [decode([*example.prompt, *example.response]) for example in training_examples(inference, rows)]
    return [text.partition("### Input:\n")[2] for text in texts], inference.report


def test_responses_of_the_papers_setting_are_purchases(tmp_path, caplog):
    """u2 has no training row. The only training row of u4 has a click as target."""
    purchases = [
        """searched for: red boots | Nov
clicked product ID: 11 | title: Norda Red Winter Boots | category: boots | brand: Norda | color: red | size: 8
date of the recommendation: Nov
### Response: product ID: 12, title: Norda Blue Winter Boots<eos>""",
        """clicked product ID: 16 | title: Gilt Evening Clutch | category: bags | brand: Lumo | color: gold | Nov
date of the recommendation: Nov
### Response: product ID: 11, title: Norda Red Winter Boots<eos>""",
    ]
    caplog.set_level(logging.INFO)
    texts, report = training_texts(tmp_path / "a")
    assert texts == purchases
    assert (report["purchase_response_share"], report["users_without_prompt"]) == (1.0, 2)
    assert "training prompts: 2, of which 100.0% have a purchase as response (response_events: purchase)" in caplog.text
    texts, report = training_texts(tmp_path / "b", response_events="all")
    assert texts[:2] == purchases
    assert texts[2:] == [
        "clicked product ID: 11 | title: Norda Red Winter Boots | category: boots | brand: Norda | color: red | size: 8"
        """ | Nov
date of the recommendation: Nov
### Response: product ID: 13, title: Vela Black Sandals<eos>"""
    ]
    assert (report["purchase_response_share"], report["users_without_prompt"]) == (0.6667, 1)
    assert "training prompts: 3, of which 66.7% have a purchase as response (response_events: all)" in caplog.text


def inference_of(root, inter=INTER, **keys):
    """Inference on the tiny dataset, and its loaders."""
    write_tiny(root, inter)
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    config = load_config(LLMFashionRec, "tiny", (), {**SMALL, **folders, **keys})
    loaders = make_loaders(config)
    inference = own_pipeline(config, loaders.dataset, StageStore(stage_root(config)), lambda: None).inference
    train, valid = (
        LLMFashionRecDataLoader(config, rows_of(one), sampler_of(one), training=one is loaders.train)
        for one in (loaders.train, loaders.valid)
    )
    return inference, train, valid


def decoded(inference, example):
    decode = inference.builder.decoder.decode
    return decode(example.prompt.tolist()).rpartition("\n")[2], decode(example.response.tolist())


@pytest.mark.parametrize(
    ("keys", "response"),
    [
        ({"loss_on_title": True}, ("buy", " product ID: 12, title: Norda Blue Winter Boots<eos>")),
        ({}, ("buy product ID:", " 12")),
        ({"loss_on_title": "auto", "item_tokens": "text"}, ("buy product ID:", " 12, title:")),
        (
            {"loss_on_title": "auto", "response_title": "generated"},
            ("buy", " product ID: 12, title: Norda Blue Winter Boots<eos>"),
        ),
    ],
)
def test_responses_end_where_the_generation_ends(tmp_path, keys, response):
    inference, train, _ = inference_of(tmp_path, **keys)
    assert decoded(inference, training_examples(inference, train)[0]) == response


def test_validation_rows(tmp_path):
    inference, _, valid = inference_of(tmp_path / "a")
    assert validation_rows(inference, valid) is None and validation_rows(inference, None) is None
    inference, _, valid = inference_of(tmp_path / "b", early_stopping_patience=1)
    rows, tokens = validation_rows(inference, valid), inference.item_tokens
    assert rows.item_tokens == range(tokens.first, tokens.first + 6)
    assert [decoded(inference, example)[0] for example in rows.examples] == ["buy product ID:"] * len(rows.examples)
    targets = valid._dataset.inter_feat["item_id"].tolist()
    assert [int(one.response[0]) for one in rows.examples] == [int(tokens.ids[item - 1][0]) for item in targets]
    with pytest.raises(UserError, match="no validation row"):
        validation_rows(inference, None)


def test_validation_rows_without_test_targets(tmp_path):
    """u1's last purchase is the test target; u1 has not clicked on either item, so the click filter drops no row."""
    found = []
    for name, target in (("a", "16"), ("b", "12")):
        inter = INTER.replace("u1\t16\tpurchase", f"u1\t{target}\tpurchase")
        inference, _, valid = inference_of(tmp_path / name, inter, early_stopping_patience=1)
        found.append([array.tolist() for array in validation_rows(inference, valid).arrays()])
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["text", "semantic"])
def test_validation_rows_of_several_tokens(tmp_path, kind):
    inference, _, valid = inference_of(tmp_path, early_stopping_patience=1, item_tokens=kind)
    rows = validation_rows(inference, valid)
    assert rows.item_tokens is None and all(len(example.response) > 1 for example in rows.examples)
