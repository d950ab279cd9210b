"""The rows of the shop of six items as RecBole's batches, with prompts."""

from collections import Counter

import numpy as np
import pytest
import torch

from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.prompt.dataloader import (
    ACTED_ITEMS,
    MEMORY_ITEMS,
    PROMPT_IDS,
    PROMPT_ITEMS,
    QUERY_KNOWN,
    TAKEN_ITEMS,
    LLMFashionRecDataLoader,
)
from tests.helpers.fakes import INTER
from tests.helpers.shop import loader_for


@pytest.fixture
def encoded(monkeypatch):
    """Counts the calls of PromptBuilder.row, by whether they are for training."""
    counts, row = Counter(), PromptBuilder.row

    def counting(self, events, now, training=False):
        counts[training] += 1
        return row(self, events, now, training)

    monkeypatch.setattr(PromptBuilder, "row", counting)
    return counts


def batch_of(loader, index):
    return loader.collate_fn(list(index))[0]


def test_columns_of_a_batch(tmp_path):
    loader = loader_for(tmp_path)
    batch, rows = batch_of(loader, range(3)), list(loader.rows(range(3)))
    for at, row in enumerate(rows):
        ids = batch[PROMPT_IDS][at]
        assert ids[ids >= 0].tolist() == row.prompt.ids.tolist() and (ids[len(row.prompt.ids) :] == -1).all()
        for name, items in (
            (PROMPT_ITEMS, row.prompt.items),
            (ACTED_ITEMS, row.prompt.items[: row.prompt.acted]),
            (TAKEN_ITEMS, row.taken),
            (MEMORY_ITEMS, row.recalled),
        ):
            column = batch[name][at].tolist()
            assert column == [item + 1 for item in items] + [0] * (len(column) - len(items)), name
        assert batch[QUERY_KNOWN][at].item() is row.query_known
    assert {batch[name].dtype for name in (PROMPT_IDS, PROMPT_ITEMS, ACTED_ITEMS, TAKEN_ITEMS, MEMORY_ITEMS)} == {
        torch.int64
    }


def test_items_of_the_test_rows(tmp_path):
    """By catalogue position + 1: items 16, 11, 12, 13, 14, 15 are 1 to 6; the memory's products are no actions."""
    batch = batch_of(loader_for(tmp_path), range(3))
    assert [[item for item in row if item] for row in batch[ACTED_ITEMS].tolist()] == [[2, 3, 4, 5, 6], [3], [1, 2, 3]]
    assert batch[PROMPT_ITEMS].shape[1] > batch[ACTED_ITEMS].shape[1]
    assert batch[QUERY_KNOWN].tolist() == [False, False, False]  # red boot, none, black sandals; the log has red boots


def test_the_target_is_not_read(tmp_path):
    """Prompts of the test rows with other test targets are the same."""
    other = INTER.replace("u1\t16\tpurchase", "u1\t12\tpurchase").replace("u3\t14\tpurchase", "u3\t15\tpurchase")
    batches = [
        batch_of(loader_for(tmp_path / name, inter=inter), range(3)) for name, inter in (("a", INTER), ("b", other))
    ]
    for name in (PROMPT_IDS, PROMPT_ITEMS, ACTED_ITEMS, TAKEN_ITEMS, MEMORY_ITEMS, QUERY_KNOWN):
        assert torch.equal(batches[0][name], batches[1][name]), name
    assert not torch.equal(batches[0]["item_id"], batches[1]["item_id"])


def test_rows_are_encoded_once_and_kept_until_forgotten(tmp_path, encoded):
    loader = loader_for(tmp_path)
    first = list(loader.encode())
    for _ in loader:
        pass
    assert (
        loader.encode()[0] is first[0] and batch_of(loader, [2])[PROMPT_IDS][0].tolist() == first[2].prompt.ids.tolist()
    )
    assert encoded == {False: 3}
    loader.forget()
    batch_of(loader, [2, 0])
    assert encoded == {False: 5}


def test_batches_of_some_rows(tmp_path, encoded):
    loader = loader_for(tmp_path)
    loader.encode()
    loader.step = 2
    found = [(batch["user_id"].tolist(), targets.tolist()) for batch, _, _, targets in loader.batches(np.arange(3))]
    feat = loader._dataset.inter_feat
    assert found == [(feat["user_id"][part].tolist(), feat["item_id"][part].tolist()) for part in ([0, 1], [2])]
    (batch, _, _, _), (whole, *_) = next(loader.batches(np.array([2, 0]))), loader.collate_fn([2, 0])
    assert torch.equal(batch[PROMPT_IDS], whole[PROMPT_IDS]) and encoded == {False: 3}
    assert list(loader.batches(np.array([], np.int64))) == []


def test_another_builder_writes_the_rows_again(tmp_path, encoded):
    loader = loader_for(tmp_path)
    loader.encode()
    loader.set_builder(loader.builder)
    loader.encode()
    assert encoded == {False: 3}
    loader.set_builder(loader_for(tmp_path, template="paper").builder)
    loader.encode()
    assert encoded == {False: 6}


def test_rows_of_training_leave_out_their_own_search(tmp_path, encoded):
    loader = loader_for(tmp_path, "train")
    batch_of(loader, range(len(loader._dataset)))
    assert encoded == {True: 3} and isinstance(loader, LLMFashionRecDataLoader)


@pytest.mark.parametrize(("per_user", "every", "users"), [(1, False, 2), (9, False, 3), (1, True, 2)])
def test_training_prompts(tmp_path, per_user, every, users):
    loader = loader_for(tmp_path, "train")
    prompts = list(loader.training_prompts(per_user, "all", every))
    assert len(prompts) == users
    feat = loader._dataset.inter_feat
    assert {row.target for row in prompts} <= set((feat["item_id"].numpy() - 1).tolist())
    assert all(row.prompt.ids.dtype == np.int32 for row in prompts)
    purchases = feat["item_id"].numpy()[feat["target_purchase"].numpy() == 1] - 1
    assert all(row.purchase == (row.target in purchases) for row in prompts)


def test_rows_need_a_builder(tmp_path):
    loader = loader_for(tmp_path)
    bare = LLMFashionRecDataLoader(loader.config, loader._dataset, loader._sampler)
    with pytest.raises(AssertionError):
        _ = bare.builder
    assert bare.training is False and not bare.shuffle
