import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from recbole.data.dataset import SequentialDataset
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.dataset import LLMFashionRecDataset
from recbole_llmfashion.data.sequences import Sequences, row_ends
from tests.helpers.fakes import purchases_only


def test_row_ends():
    ends, lengths = row_ends(np.array([1, 1, 1, 1, 2, 3, 3]), 2)
    assert ends.tolist() == [1, 2, 3, 6]
    assert lengths.tolist() == [1, 2, 2, 1]


def test_cut():
    log = {"item_list": torch.tensor([5, 6, 7, 8]), "time_list": torch.tensor([0.5, 1.5, 2.5, 3.5])}
    cut = Sequences(log, 3).cut(torch.tensor([3, 1]), torch.tensor([2, 1]))
    assert cut["item_list"].tolist() == [[6, 7, 0], [5, 0, 0]]
    assert cut["time_list"].tolist() == [[1.5, 2.5, 0.0], [0.5, 0.0, 0.0]]
    assert cut["item_list"].dtype == torch.int64 and cut["time_list"].dtype == torch.float32


def test_renamed():
    log = {"item_list": torch.tensor([1, 2, 1]), "time_list": torch.tensor([1, 2, 3])}
    cut = Sequences(log, 2).renamed({"item_list": torch.tensor([0, 9, 8])}).cut(torch.tensor([2]), torch.tensor([2]))
    assert cut["item_list"].tolist() == [[9, 8]] and cut["time_list"].tolist() == [[1, 2]]


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 4))
def test_history_is_the_same_users_earlier_actions(lengths, width):
    users = np.repeat(np.arange(len(lengths)), lengths)
    ends, sizes = row_ends(users, width)
    assert len(ends) == sum(length - 1 for length in lengths)
    cut = Sequences({"index": torch.arange(len(users)) + 1}, width).cut(torch.from_numpy(ends), torch.from_numpy(sizes))
    for end, size, row in zip(ends.tolist(), sizes.tolist(), cut["index"].tolist(), strict=True):
        earlier = [index for index in range(end) if users[index] == users[end]]
        assert [index - 1 for index in row[:size]] == earlier[-width:]
        assert row[size:] == [0] * (width - size)


def test_same_sequences_as_recbole(tmp_path):
    """For users whose histories are shorter than, as long as, and longer than MAX_ITEM_LIST_LENGTH."""
    purchases_only(tmp_path, users=6, items=30, length=7)
    keys = {"data_path": str(tmp_path), "MAX_ITEM_LIST_LENGTH": 4}
    ours = LLMFashionRecDataset(load_config(SASRec, "bought", overrides=keys))
    config = load_config(SASRec, "bought", overrides=keys)
    config["load_col"] = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]}
    theirs = SequentialDataset(config)
    for data in (ours, theirs):
        data._change_feat_format()  # what build() does first
    every = list(range(len(theirs)))
    mine, plain = ours[every], theirs[every]
    assert len(ours) == len(theirs) == 36
    for field in plain.columns:
        torch.testing.assert_close(mine[field], plain[field], rtol=0, atol=0)
