"""memory.parquet: its order tells nothing of the log, and rare queries are left out with their vectors."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.embedding.word_pieces import TextTokenizer
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.memory_file import COLUMNS, memory_frame, note_of_one, remove_private, without_rare

QUERIES = ("Red  boots", "sandals", "red boots")
QUERY, ITEM, POSITION = np.array([1, 0, 2, 0]), np.array([4, 1, 1, 0]), np.array([0, 0, 2, 1])
ASKERS = np.array([1, 2, 2, 2])


def frame():
    return memory_frame(QUERIES, QUERY, ITEM, POSITION, ASKERS)


def test_rows_by_hand():
    assert frame().to_numpy().tolist() == [
        ["red boots", 0, 1, 2], ["red boots", 1, 0, 2], ["red boots", 1, 2, 2], ["sandals", 4, 0, 1],
    ]  # fmt: skip


@given(st.permutations(range(4)))
def test_the_order_of_the_log_is_lost(order):
    log = [column[list(order)] for column in (QUERY, ITEM, POSITION, ASKERS)]
    assert memory_frame(QUERIES, *log).equals(frame())


def test_rare_queries_leave_with_their_vectors():
    vectors = np.array([[1.0], [2.0]])
    kept, left, left_out = without_rare(frame(), vectors, 2, Path("run"))
    assert kept["query"].tolist() == ["red boots"] * 3 and left.tolist() == [[1.0]] and left_out == 1
    assert without_rare(frame(), vectors, 1, Path("run"))[1:] == (vectors, 0)
    assert without_rare(frame(), vectors, 3, Path("run"))[2] == 2
    assert len(without_rare(frame().drop(columns="askers"), vectors, 1, Path("run"))[0]) == 4
    with pytest.raises(UserError, match="does not say how many users"):
        without_rare(frame().drop(columns="askers"), vectors, 2, Path("run"))


def test_the_main_job_says_how_many_queries_one_user_alone_typed():
    assert note_of_one(frame()).startswith("the run folder holds 2 queries, 1 of which one user alone typed")
    assert note_of_one(frame().query("askers > 1")) == "" == note_of_one(frame().head(0))


def test_each_query_keeps_its_own_vector():
    """The first and the third of four sorted queries are of too few users."""
    askers = {"boots": 1, "gowns": 4, "hats": 2, "socks": 3}
    rows = pd.DataFrame([(query, item, 0, askers[query]) for query in askers for item in (4, 5)])
    rows.columns = [*COLUMNS, "askers"]
    vectors = np.arange(4.0)[:, None]
    kept, left, left_out = without_rare(rows, vectors, 3, Path("run"))
    assert kept["query"].unique().tolist() == ["gowns", "socks"] and left.tolist() == [[1.0], [3.0]] and left_out == 2


def written(folder):
    frame().to_parquet(folder / "memory.parquet", index=False)
    save_file(
        {"memory": np.ones((2, 3), np.float32), "title": np.zeros((2, 3), np.float32)}, folder / "vectors.safetensors"
    )
    (folder / "responses.parquet").write_text("")
    return folder


def test_words_of_rare_queries_are_no_pieces_of_a_copy(tmp_path):
    """A word of two queries of one user is a piece of its own; one of a title or of a common query stays."""
    written(tmp_path)
    item = {"item_id": "7", "title": "Suede loafers", "brand": "Mitaro", "popularity": 3}
    pd.DataFrame([item]).to_parquet(tmp_path / "catalogue.parquet")
    texts = [
        "quittenallee",
        "quittenallee pumps",
        "red boots",
        "red boots",
        "suede loafers",
        "suede",
        "mitaro",
        "mitaro",
    ]
    for name in ("title", "clip"):
        (tmp_path / name).mkdir()
        TextTokenizer.train(texts, 200).save(tmp_path / name / "pieces.json")
    remove_private(tmp_path, 1, None)
    assert "quittenallee" in (tmp_path / "title/pieces.json").read_text()
    before = TextTokenizer.load(tmp_path / "clip/pieces.json").encode(texts[2:], 20)
    remove_private(tmp_path, 2, None)
    for name in ("title", "clip"):
        text = (tmp_path / name / "pieces.json").read_text()
        assert "quit" not in text and all(word in text for word in ("boots", "suede", "mitaro"))
    kept = TextTokenizer.load(tmp_path / "clip/pieces.json")
    assert kept.encode(texts[2:], 20).equal(before) and kept.encode(texts[:1], 20).shape[1] > 5


def test_files_of_a_copy(tmp_path):
    entry = remove_private(written(tmp_path), 2, {"min_askers": 1, "queries": 2, "left_out": 5})
    assert entry == {"min_askers": 2, "queries": 1, "left_out": 6}
    assert not (tmp_path / "responses.parquet").exists()
    assert load_file(tmp_path / "vectors.safetensors")["memory"].shape == (1, 3)
    assert remove_private(tmp_path, 1, entry) == entry
    assert remove_private(tmp_path, 9, entry) == {"min_askers": 9, "queries": 0, "left_out": 7}
    assert (
        load_file(tmp_path / "vectors.safetensors").keys() == {"title"} and not (tmp_path / "memory.parquet").exists()
    )
    assert remove_private(tmp_path, 2, None) is None
    assert len(pd.read_parquet(written(tmp_path) / "memory.parquet")) == 4
