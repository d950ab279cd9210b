"""What a dataset is asked with: tokens of items that carry neither time nor popularity."""

import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders, stage_root
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline.pipeline import own_pipeline
from recbole_llmfashion.stage_store import StageStore
from tests.helpers.fakes import INTER, ITEM, SMALL, write_tiny

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
