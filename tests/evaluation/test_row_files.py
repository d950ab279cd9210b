"""Rows in files without tokens."""

import hashlib
import json

import pandas as pd
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.result import Result
from recbole_llmfashion.evaluation.row_files import RowFiles
from recbole_llmfashion.stage_store import sha256_texts

NAME = {"stage": "row-1", "engine": "e", "model": "CORE", "dataset": "tiny", "keys": {"epochs": 3}}
TEST_ROWS = pd.DataFrame({"user": ["bert", "anna"], "target": ["i2", "i1"]})


def result():
    ranks = TEST_ROWS.assign(rank=[4, 1], top=[["i1", "i2"], ["i1", "i3"]])
    metrics = {"mrr": 0.625, "recall@10": 1.0}
    return Result(metrics, {"recall@10": 0.5}, ranks, {"train": 2.5}, ["core"], 90.0, {"epochs": 3}, 1.5)


def test_a_file_by_hand(tmp_path):
    RowFiles(tmp_path / "rows").write(NAME, result())
    text = (tmp_path / "rows/row-1.json").read_text()
    assert json.loads(text) == {
        "row": NAME,
        "result": {
            "metrics": {"mrr": 0.625, "recall@10": 1.0}, "valid": {"recall@10": 0.5}, "seconds": {"train": 2.5},
            "reused": ["core"], "peak_memory_mb": 90.0, "details": {"epochs": 3}, "ms_per_user": 1.5,
        },
        "test_rows": sha256_texts(["anna", "bert", "i1", "i2"]),
        "ranks": "1 4",
    }  # fmt: skip
    assert not any(token in text for token in ("anna", "bert", "i1", "i2"))


def test_what_was_written_is_read(tmp_path):
    files = RowFiles(tmp_path)
    files.write(NAME, result())
    found, expected = files.read("row-1", TEST_ROWS, 6), result()
    assert found.ranks.to_dict("list") == {
        "user": ["anna", "bert"],
        "target": ["i1", "i2"],
        "rank": [1, 4],
        "top": [[], []],
    }
    for field in ("metrics", "valid", "seconds", "reused", "peak_memory_mb", "details", "ms_per_user"):
        assert getattr(found, field) == getattr(expected, field)


def test_a_row_that_is_there_is_not_written_again(tmp_path):
    files = RowFiles(tmp_path)
    assert not files.has("row-1")
    files.write(NAME, result())
    before = hashlib.sha256((tmp_path / "row-1.json").read_bytes()).digest()
    other = result()
    other.metrics["mrr"] = 0.5
    files.write(NAME, other)
    assert files.has("row-1") and not files.has("row-2")
    assert hashlib.sha256((tmp_path / "row-1.json").read_bytes()).digest() == before


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RowFiles(None).write(NAME, result())
    assert not RowFiles(None).has("row-1") and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content | {"ranks": "2 4"}, "of other test rows, or was changed"),
        (lambda content: content | {"test_rows": "0" * 64}, "of other test rows, or was changed"),
        (lambda content: content | {"ranks": "1 4 4"}, "is not a row"),
        (lambda content: content | {"ranks": "1 x"}, "is not a row"),
        (lambda content: content | {"ranks": None}, "is not a row"),
        (lambda content: {key: value for key, value in content.items() if key != "result"}, "is not a row"),
        (lambda content: [content], "is not a row"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, change, message):
    files = RowFiles(tmp_path)
    files.write(NAME, result())
    path = tmp_path / "row-1.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(UserError, match=message) as caught:
        files.read("row-1", TEST_ROWS, 6)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_of_nested_lists_is_one_line(tmp_path):
    (tmp_path / "row-1.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="is not a row"):
        RowFiles(tmp_path).read("row-1", TEST_ROWS, 4)


# ranks 1 and 4: recall@3 1/2, ndcg@5 (1 + 1 / log2(5)) / 2, mrr@5 (1 + 1/4) / 2, precision@5 1/5
OF_THE_RANKS = {
    "recall@3": 0.5, "hit@5": 1.0, "precision@5": 0.2, "ndcg@5": 0.715338, "mrr@3": 0.5, "mrr@5": 0.625, "map@5": 0.625,
}  # fmt: skip


def with_metrics(folder, **metrics):
    folder.mkdir(exist_ok=True)
    (folder / "row-1.json").unlink(missing_ok=True)
    row = result()
    row.metrics.update(metrics)
    RowFiles(folder).write(NAME, row)
    return RowFiles(folder)


@pytest.mark.parametrize("name", OF_THE_RANKS)
def test_a_metric_that_the_ranks_do_not_give(tmp_path, name):
    found = with_metrics(tmp_path, **OF_THE_RANKS, **{"itemcoverage@5": 0.4}).read("row-1", TEST_ROWS, 6)
    assert found.metrics[name] == OF_THE_RANKS[name]
    changed = with_metrics(tmp_path, **OF_THE_RANKS | {name: OF_THE_RANKS[name] + 2e-6})
    with pytest.raises(UserError, match="of other test rows, or was changed"):
        changed.read("row-1", TEST_ROWS, 6)
    assert changed.read("row-1", TEST_ROWS, 4).metrics[name] != OF_THE_RANKS[name]  # rounded to four places


def test_metrics_beside_gauc_break_ties_in_another_order(tmp_path):
    found = with_metrics(tmp_path, **{"recall@3": 1.0, "gauc": 0.7}).read("row-1", TEST_ROWS, 6)
    assert found.metrics["recall@3"] == 1.0


def test_other_test_rows_are_one_line(tmp_path):
    files = RowFiles(tmp_path)
    files.write(NAME, result())
    with pytest.raises(UserError, match="of other test rows"):
        files.read("row-1", TEST_ROWS.assign(target=["i2", "i3"]), 6)
