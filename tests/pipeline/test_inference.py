"""Parts of a dataset's prompts: tokens of items that carry neither time nor popularity, a memory of queries."""

from types import SimpleNamespace

import numpy as np
import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders, stage_root
from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline.inference import Inference
from recbole_llmfashion.pipeline.pipeline import own_pipeline
from recbole_llmfashion.stage_store import StageStore
from tests.helpers.fakes import INTER, ITEM, SMALL, hash_encoder, write_tiny

HEAD, *ROWS = INTER.splitlines()


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
