from pathlib import Path

import pytest
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data import split
from recbole_llmfashion.data.loaders import make_loaders, rows_sha256, stage_root
from recbole_llmfashion.errors import UserError
from tests.helpers.fakes import INTER, write_tiny


def tiny_loaders(root, **keys):
    return make_loaders(load_config(SASRec, "tiny", overrides={"data_path": str(root), "topk": [3], **keys}))


def test_stage_root():
    assert stage_root({"checkpoint_dir": "saved", "dataset": "shoes"}) == Path("saved/shoes/stages")


def test_make_loaders(tmp_path):
    write_tiny(tmp_path)
    loaders = tiny_loaders(tmp_path)
    assert [len(loader._dataset) for loader in (loaders.train, loaders.valid, loaders.test)] == [3, 2, 3]
    with pytest.raises(UserError, match=r"^topk: 7 is more than the 6 items; lower topk$"):
        tiny_loaders(tmp_path, topk=[3, 7])


def test_rows_sha256_depends_on_histories(tmp_path):
    """A user's first action is in the histories only; it is not the target of a row."""
    write_tiny(tmp_path / "one")
    write_tiny(tmp_path / "other", inter=INTER.replace("u1\t11\tclick", "u1\t13\tclick"))
    one, same, other = (tiny_loaders(tmp_path / name) for name in ("one", "one", "other"))
    first_rows = [loaders.train._dataset[[0]] for loaders in (one, other)]
    assert [row["item_id_list"][0, 0].item() for row in first_rows] == [2, 4]
    assert [row["item_id"].item() for row in first_rows] == [3, 3]
    assert rows_sha256(one.train) == rows_sha256(same.train) != rows_sha256(other.train)
    assert rows_sha256(one.train) != rows_sha256(one.valid)


@pytest.mark.parametrize(
    ("old", "new", "masked"),
    [
        ("", "", True),
        ("u1\t12\tpurchase\t1701000100", "u1\t11\tpurchase\t1701000100", False),  # the item of a click before
        ("u1\t16\tpurchase", "u1\t12\tpurchase", True),  # the test target alone
    ],
    ids=["none", "in the training part", "test target"],
)
def test_mask_history_auto(tmp_path, monkeypatch, old, new, masked):
    monkeypatch.setattr(split, "LEAST_ACTIONS", 3)
    write_tiny(tmp_path, inter=INTER.replace(old, new) if old else INTER)
    for value, expected in (("auto", masked), (True, True), (False, False)):
        config = load_config(
            SASRec,
            "tiny",
            overrides={"data_path": str(tmp_path), "topk": [3], "click_filter": "none", "mask_history": value},
        )
        loaders = make_loaders(config)
        assert config["mask_history"] is expected
        assert [next(iter(loader))[1] is not None for loader in (loaders.valid, loaders.test)] == [expected] * 2
