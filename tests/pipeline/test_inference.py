"""Parts of a dataset's prompts: tokens of items that carry neither time nor popularity, a memory of queries."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.data.loaders import make_loaders, rows_of, sampler_of, stage_root
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline.inference import Inference
from recbole_llmfashion.pipeline.pipeline import own_pipeline
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.stage_store import StageStore
from tests.helpers.fakes import INTER, ITEM, SMALL, hash_encoder, write_tiny

HEAD, *ROWS = INTER.splitlines()
PAPER = properties_folder() / "model/LLMFashionRec-paper.yaml"
CLICKS_ONLY = "u4\t11\tclick\t1701000000\nu4\t13\tclick\t1701000100\nu4\t14\tpurchase\t1701000200\n"


def tokens_of(root, inter=INTER, item=ITEM, **keys):
    """Item to its token ids, and the index."""
    write_tiny(root, inter, "", item)
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    config = load_config(LLMFashionRec, "tiny", (), {**SMALL, **folders, **keys})
    dataset = make_loaders(config).dataset
    pipeline = own_pipeline(config, dataset, StageStore(stage_root(config)), lambda: pytest.fail("CORE was used"))
    index = pipeline.inference.item_tokens
    assert index is not None
    return {name: ids.tolist() for name, ids in zip(dataset.catalogue.item_ids, index.ids, strict=True)}, index


def test_tokens_know_neither_when_nor_how_often_an_item_was_bought(tmp_path):
    expected, index = tokens_of(tmp_path / "a")
    users = [[row for row in ROWS if row.startswith(f"u{user}\t")] for user in (1, 2, 3)]
    other_order = [*users[2], *users[1], *users[0]]
    moved = [row.replace("\t13\t", "\t15\t") for row in ROWS]  # what nobody bought before, others now do
    for name, rows in (("b", other_order), ("c", moved)):
        found, again = tokens_of(tmp_path / name, "\n".join([HEAD, *rows]) + "\n")
        assert found == expected and again.key == index.key
    assert sorted(ids[0] for ids in expected.values()) == list(range(index.first, index.first + 6))


def test_tokens_do_not_follow_the_catalogues_order(tmp_path):
    expected, _ = tokens_of(tmp_path / "a")
    head, *items = ITEM.splitlines()
    found, _ = tokens_of(tmp_path / "b", item="\n".join([head, *items[::-1]]) + "\n")
    assert found == expected


def test_tokens_begin_as_the_words_of_every_attribute_that_prompts_show(tmp_path, caplog):
    header, *rows = ITEM.splitlines()
    long = [f"{row}\t{'soft wool ' * 30 if number < 2 else ''}" for number, row in enumerate(rows)]
    item = "\n".join([f"{header}\tfabric:token", *long]) + "\n"
    _, plain = tokens_of(tmp_path / "a", item=item)
    assert not [record for record in caplog.records if "item tokens begin" in record.message]
    _, index = tokens_of(tmp_path / "b", item=item, prompt_attributes=["color", "fabric"])
    tokenizer = load_tokenizer(str(TINY_FALCON_FOLDER))
    assert tokenizer.decode(index.words[0]) == f" gilt evening clutch gold {'soft wool ' * 20}".rstrip()
    assert tokenizer.decode(index.words[5]) == " plain socks" and index.key != plain.key
    cut = "item tokens begin as the first 200 characters of an attribute in 2 of 6 items"
    assert cut in [record.message for record in caplog.records]


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
    texts = [decode([*example.prompt, *example.response]) for example in inference.examples(rows)]
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
    assert decoded(inference, inference.examples(train)[0]) == response


def test_validation_rows(tmp_path):
    inference, _, valid = inference_of(tmp_path / "a")
    assert inference.validation_rows(valid) is None and inference.validation_rows(None) is None
    inference, _, valid = inference_of(tmp_path / "b", early_stopping_patience=1)
    rows, tokens = inference.validation_rows(valid), inference.item_tokens
    assert rows.item_tokens == range(tokens.first, tokens.first + 6)
    assert [decoded(inference, example)[0] for example in rows.examples] == ["buy product ID:"] * len(rows.examples)
    targets = valid._dataset.inter_feat["item_id"].tolist()
    assert [int(one.response[0]) for one in rows.examples] == [int(tokens.ids[item - 1][0]) for item in targets]
    with pytest.raises(UserError, match="no validation row"):
        inference.validation_rows(None)


def test_validation_rows_without_test_targets(tmp_path):
    """u1's last purchase is the test target; u1 has not clicked on either item, so the click filter drops no row."""
    found = []
    for name, target in (("a", "16"), ("b", "12")):
        inter = INTER.replace("u1\t16\tpurchase", f"u1\t{target}\tpurchase")
        inference, _, valid = inference_of(tmp_path / name, inter, early_stopping_patience=1)
        found.append([array.tolist() for array in inference.validation_rows(valid).arrays()])
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["text", "semantic"])
def test_validation_rows_of_several_tokens(tmp_path, kind):
    inference, _, valid = inference_of(tmp_path, early_stopping_patience=1, item_tokens=kind)
    rows = inference.validation_rows(valid)
    assert rows.item_tokens is None and all(len(example.response) > 1 for example in rows.examples)


@pytest.mark.parametrize(("min_askers", "items"), [(1, [7, 8, 9, 7, 8]), (2, [7, 8, 7, 8]), (3, [])])
def test_the_memory_leaves_out_queries_of_fewer_users(min_askers, items):
    """Users 1 and 2 search for boots, in two spellings; user 2 alone for sandals. The last search is later."""
    log = SimpleNamespace(
        users=np.array([1, 2, 2, 2, 3]),
        query_index=np.array([0, 1, 2, 1, 2]),
        queries=("Boots", "boots ", "sandals"),
        result_ptr=np.array([0, 2, 2, 3, 5, 6]),
        result_items=np.array([7, 8, 9, 7, 8, 9]),
        training=np.array([True, True, True, True, False]),
    )
    inference = Inference.__new__(Inference)
    inference.config, inference.texts = {"min_askers": min_askers}, SimpleNamespace(log=log, queries=log.queries)
    assert inference.memory_log().item.tolist() == items
    assert inference.searched_products().item.tolist() == [7, 8, 9, 7, 8]


@pytest.mark.parametrize(("neighbors", "items"), [(1, [7, 8]), (2, [7, 9, 8]), (3, [7, 9, 8])])
def test_the_memory_has_the_neighbors_of_the_config(neighbors, items):
    """Two queries, each of two users; `boots` is the nearest of its own query."""
    log = SimpleNamespace(
        users=np.array([1, 2]),
        query_index=np.array([0, 1]),
        queries=("boots", "sandals"),
        result_ptr=np.array([0, 2, 3]),
        result_items=np.array([7, 8, 9]),
        training=np.array([True, True]),
    )
    inference = Inference.__new__(Inference)
    sizes = {"memory_products": 3, "memory_list_size": 3, "memory_neighbors": neighbors, "min_askers": 1}
    inference.config, inference._remember = sizes, True
    inference.texts = SimpleNamespace(log=log, queries=log.queries, tie=np.arange(10))
    inference.trained = SimpleNamespace(sentences=None, clip=SimpleNamespace(encode=hash_encoder))
    assert inference.memory is not None and inference.memory.top_products("Boots") == items


class Rows:
    """A loader of two rows."""

    def __init__(self, last=3):
        self.prompts = [np.array([1, 2]), np.array([1, last])]

    def set_builder(self, builder):
        pass

    def encode(self):
        return [SimpleNamespace(prompt=SimpleNamespace(ids=ids, dropped=0, shortened=0)) for ids in self.prompts]


def inputs_of_responses(rows=None, adapter="adapter-1", names=("11", "12"), titles=("A", "B"), words=(1,), **keys):
    """What names the stage of the responses to two prompts."""
    found = {}
    inference = Inference.__new__(Inference)
    inference.config = load_config(LLMFashionRec, "tiny", (), {**SMALL, "response_title": "catalogue", **keys})
    inference.texts = SimpleNamespace(titles=titles)
    inference.trained = SimpleNamespace(llm=SimpleNamespace(identity=adapter))
    inference.store = SimpleNamespace(get=lambda name, inputs, build: found.update(inputs))
    inference.response_cache = SimpleNamespace(load=lambda folder, position_of: None)
    inference.report, inference._answered = {}, []
    tokens = SimpleNamespace(key="k", words=[np.array(words)])
    vars(inference).update(builder=SimpleNamespace(item_names=names, position_of={}), item_tokens=tokens)
    inference.answer(rows or Rows())
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"adapter": "adapter-2"},
        {"rows": Rows(4)},
        {"names": ("11", "13")},
        {"titles": ("A", "C")},
        {"words": (2,)},
        {"num_beams": 3},
        {"max_new_tokens": 41},
        {"seed": 8},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_names_the_responses(changes):
    assert inputs_of_responses() == inputs_of_responses() != inputs_of_responses(**changes)
