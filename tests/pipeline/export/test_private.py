"""What a copy of a run leaves out: rare queries, their words, and the responses of the evaluation."""

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.embedding.word_pieces import TextTokenizer
from recbole_llmfashion.pipeline.export.private import remove_private
from recbole_llmfashion.pipeline.memory_file import memory_frame


def frame():
    """The query `red boots` of two users, and `sandals` of one."""
    rows = np.array([1, 0, 2, 0]), np.array([4, 1, 1, 0]), np.array([0, 0, 2, 1]), np.array([1, 2, 2, 2])
    return memory_frame(("Red  boots", "sandals", "red boots"), *rows)


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
