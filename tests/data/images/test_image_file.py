"""The file of the pictures: what is written is read, and what is damaged is one line."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from recbole_llmfashion.data.images.image_file import ItemImages, images_bytes, images_path, item_images
from recbole_llmfashion.errors import UserError

SMALL = [b"\xff\xd8\xffone", b"\xff\xd8\xff2", b"<svg onload=alert(1)>"]
VECTORS = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)


@pytest.fixture
def path(tmp_path):
    path = images_path(tmp_path, "shop")
    path.write_bytes(images_bytes(["a", "b", "c"], VECTORS, SMALL, "pixels"))
    return path


def test_what_is_written_is_read(tmp_path, path):
    images = item_images(tmp_path, "shop")
    assert images.source == "pixels" and images.item_ids == ("a", "b", "c")
    assert images.vectors(["c", "x", "b"]).tolist() == [[0, 1], [0, 0], VECTORS[1].tolist()]
    assert images.small("b") == SMALL[1] and images.data_uri("b") == "data:image/jpeg;base64,/9j/Mg=="


def test_what_is_no_jpeg_is_not_shown(path):
    images = ItemImages(path)
    assert images.small("c") is None and images.data_uri("c") == "" and images.data_uri("x") == ""


def test_no_file_no_pictures(tmp_path):
    assert item_images(tmp_path, "shop") is None


def change(path, **changes):
    tensors = load_file(path)
    about = {"format": "1", "source": "pixels", "items": ["a", "b", "c"]}
    about |= {name: value for name, value in changes.items() if name in about}
    tensors |= {name: value for name, value in changes.items() if name in tensors}
    save_file(tensors, path, {"about": json.dumps(about)})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"format": "2"}, "format '2', expected 1"),
        ({"items": "abc"}, "distinct items"),
        ({"items": ["a", "a", "b"]}, "distinct items"),
        ({"items": ["a", "b"]}, "distinct items"),
        ({"items": [1, 2, 3]}, "distinct items"),
        ({"first": np.array([0, 6, 4, 31])}, "do not follow"),
        ({"first": np.array([0, 6, 10, 99])}, "do not follow"),
        ({"vectors": VECTORS[:2]}, "a float32 vector of each item"),
        ({"vectors": VECTORS.astype(np.float64)}, "a float32 vector of each item"),
        ({"vectors": VECTORS * 2}, "vectors of length 1"),
        ({"vectors": VECTORS * np.float32(np.nan)}, "vectors of length 1"),
    ],
)
def test_a_damaged_file_is_one_line(path, changes, line):
    change(path, **changes)
    with pytest.raises(UserError, match=f"{path.name}: .*{line}.*; run `recbole-llmfashion describe-images` again"):
        ItemImages(path).vectors(["a"])


@pytest.mark.parametrize("content", [b"", b"x" * 40, b"\x08" + b"\0" * 7 + b"{broken}"])
def test_no_such_file_at_all(path, content):
    path.write_bytes(content)
    with pytest.raises(UserError, match="not readable"):
        ItemImages(path)
