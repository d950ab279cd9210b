"""Every training target once, and no other row's target."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.dataset import HISTORY_END, TARGET_PURCHASE
from recbole_llmfashion.data.loaders import make_loaders, rows_of
from recbole_llmfashion.data.sequences import row_ends
from recbole_llmfashion.data.whole_sequences import LEARNED, cover, whole_sequences
from tests.helpers.fakes import INTER, write_tiny


def parts(root, **keys):
    config = load_config("SASRec", "tiny", (), {"data_path": str(root), "topk": [3], "valid_metric": "NDCG@3", **keys})
    loaders = make_loaders(config)
    return rows_of(loaders.train), rows_of(loaders.valid), rows_of(loaders.test)


def learned_ends(whole):
    """Index in the log of every item that is learned, in order."""
    feat = whole.inter_feat
    ends, lengths = feat[HISTORY_END].numpy(), feat[whole.item_list_length_field].numpy()
    positions = (ends - lengths + 1)[:, None] + np.arange(feat[LEARNED].shape[1])
    return sorted(positions[feat[LEARNED].numpy()].tolist())


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 5))
def test_cover_holds_every_target_by_the_fewest_rows(counts, longest):
    users = np.repeat(np.arange(len(counts)), counts)
    ends, lengths = row_ends(users, longest)
    rows = cover(ends, lengths)
    held = [end - age for end, length in zip(ends[rows], lengths[rows], strict=True) for age in range(length)]
    assert set(held) == set(ends.tolist())
    assert len(rows) == sum(-(-(count - 1) // longest) for count in counts)


@pytest.mark.parametrize("longest", [1, 2, 20])
@pytest.mark.parametrize("targets", ["all", "purchase"])
def test_each_training_target_is_learned_once(tmp_path, longest, targets):
    more = "".join(f"u9\t{11 + i % 6}\t{'click' if i % 3 else 'purchase'}\t{1701000000 + i}\n" for i in range(10))
    write_tiny(tmp_path, INTER + more)
    train, valid, test = parts(tmp_path, MAX_ITEM_LIST_LENGTH=longest, train_targets=targets)
    whole = whole_sequences(train)
    assert learned_ends(whole) == sorted(train.inter_feat[HISTORY_END].tolist())
    later = {*valid.inter_feat[HISTORY_END].tolist(), *test.inter_feat[HISTORY_END].tolist()}
    assert not later & set(learned_ends(whole))
    if targets == "purchase":
        assert bool(train.inter_feat[TARGET_PURCHASE].all()) and len(learned_ends(whole)) < 7
    assert len(whole) < len(train) or longest == 1 or targets == "purchase"


def test_other_targets_of_validation_and_test_change_nothing(tmp_path):
    """u1's test item, and the validation and test items of u3."""
    other = INTER.replace("u1\t16\tpurchase", "u1\t12\tpurchase")
    other = other.replace("u3\t12\tpurchase", "u3\t15\tpurchase").replace("u3\t14\tpurchase", "u3\t13\tpurchase")
    inputs = []
    for name, inter in (("one", INTER), ("other", other)):
        write_tiny(tmp_path / name, inter)
        train, valid, _ = parts(tmp_path / name)
        inputs.append([(column, values.tolist()) for column, values in whole_sequences(train).model_inputs()])
        assert valid.inter_feat["item_id"].tolist() != []
    assert other != INTER and inputs[0] == inputs[1]
