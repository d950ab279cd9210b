"""A dataset with pictures: its list of fusion, the saved run that ranks as the evaluation, the export, a new item."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.images.image_file import images_bytes, images_path
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.checks.files import check_vectors
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.study.request import StudyRequest
from recbole_llmfashion.study.runner import Entry, Runner
from tests.helpers.fakes import INTER, SEARCH, SMALL, write_tiny
from tests.helpers.pictures import as_bytes, drawn
from tests.helpers.sessions import sessions

BUYS = "".join(f"u{u}\t{11 + (u + i) % 6}\tpurchase\t{1701000000 + 100 * i}\n" for u in (4, 5) for i in range(5))
SEARCHES = "".join(f"u{u}\t{1701000050 + 100 * i}\t{['red', 'blue'][u % 2]} {i}\t\n" for u in (4, 5) for i in (0, 1))
VECTORS = {"11": [1, 0], "12": [0.8, 0.6], "13": [0, 1], "14": [0.6, 0.8]}


def keys_of(root, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    return {**SMALL, **folders, "quantization": "none", "click_filter": "none", "min_askers": 1, **keys}


def write_images(root):
    vectors = np.array([*VECTORS.values()], np.float32)
    content = images_bytes([*VECTORS], vectors, [as_bytes(drawn(), "JPEG")] * len(VECTORS), "pixels")
    images_path(root / "tiny", "tiny").write_bytes(content)


def run_of(root, **keys):
    return run_experiment(load_config("LLMFashionRec", "tiny", overrides=keys_of(root, **keys)), keep=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on a dataset with pictures of four of six items; its result, and the folder."""
    root = tmp_path_factory.mktemp("pictures")
    write_tiny(root, INTER + BUYS, SEARCH + SEARCHES)
    write_images(root)
    result = run_of(root)
    return SimpleNamespace(root=root, result=result, run=Path(result.details["run"]))


def test_the_pictures_are_a_list_of_fusion(made):
    lists = ["beams", "id", "title", "session", "neighbors", "words", "image", "memory", "taken"]
    assert [list(weights) for weights in made.result.details["fusion"].values()] == [lists, lists]
    items = read_folder(made.root / "tiny").items["item_id"]
    saved = load_file(made.run / "vectors.safetensors")["image"]
    np.testing.assert_array_equal(saved, np.array([VECTORS.get(item, [0, 0]) for item in items], np.float32))
    without = run_of(made.root, image_list=False)
    for weights in without.details["fusion"].values():
        assert list(weights) == [name for name in lists if name != "image"]
    assert "image" not in load_file(Path(without.details["run"]) / "vectors.safetensors")
    assert {"adapter", "responses", "title"} <= set(without.reused)  # the pictures train nothing


def test_the_saved_run_answers_as_the_evaluation(made):
    recommender, requests = Recommender.from_pretrained(made.run), sessions(made.root / "tiny")
    ranks = made.result.ranks.set_index("user")
    for user, row in ranks.iterrows():
        actions, now = requests[user]
        assert [line.item for line in recommender.recommend(actions, 3, now=now)] == list(row["top"]), user
    assert recommender._state.rankers.image_list is not None


def test_a_new_item_has_no_picture_and_a_removed_one_keeps_its_own(made, tmp_path):
    export_run(made.run, tmp_path / "exported", min_askers=1)
    recommender = Recommender.from_pretrained(tmp_path / "exported")
    before = recommender._state.pool.image
    recommender.add_items(pd.DataFrame([{"item_id": "99", "title": "Red Winter Boots"}]))
    recommender.remove_items(["11"])
    recommender.add_items(pd.DataFrame([{"item_id": "11", "title": "Other Boots"}]))
    after = recommender._state.pool.image
    np.testing.assert_array_equal(after[:6], before)
    assert after.shape == (7, 2) and not after[6].any()
    click = {"action": "click", "item_id": "12", "timestamp": 1701000000}
    assert len(recommender.recommend([click], 5)) == 5


@pytest.mark.parametrize("table", [np.zeros((5, 2), np.float32), np.full((6, 2), np.nan, np.float32), np.zeros((6, 2))])
def test_vectors_that_do_not_fit_are_one_line(made, tmp_path, table):
    vectors = load_file(made.run / "vectors.safetensors") | {"image": table}
    save_file(vectors, tmp_path / "vectors.safetensors")
    settings = {"mixing": {"ranking": "fusion"}, "items": {"kind": "text"}}
    with pytest.raises(UserError, match="tensor image: expected"):
        check_vectors(tmp_path / "vectors.safetensors", vectors, 6, settings)


def test_a_row_of_a_study_is_named_after_its_pictures(tmp_path):
    """A dataset without pictures has the names of before; other pictures are another row, unless they are not read."""

    def names(**keys):
        values = {"data_path": str(tmp_path), **keys}
        request = StudyRequest("compare", "tiny", ("LLMFashionRec",), 1, tmp_path, (), {}, values, "")
        runner, entry = Runner(request), Entry("", "LLMFashionRec", {}, "tiny")
        from recbole_llmfashion.files.digests import FileDigests

        return runner.inputs(runner.config(entry, 1), entry, 1, FileDigests())

    write_tiny(tmp_path)
    plain = names()
    assert "images" not in plain
    write_images(tmp_path)
    assert {**names(), "images": None} == {**plain, "images": None} and len(names()["images"]) == 64
    assert names(image_list=False) == plain


def test_a_damaged_file_is_one_line_before_anything_trains(tmp_path):
    write_tiny(tmp_path, INTER + BUYS, SEARCH + SEARCHES)
    images_path(tmp_path / "tiny", "tiny").write_bytes(b"x")
    with pytest.raises(UserError, match=r"tiny.images.safetensors: not readable .*describe-images` again$"):
        run_of(tmp_path)
    assert not list((tmp_path / "saved").rglob("adapter-*"))
