"""`describe-images` on a hand-written dataset, with pictures of every kind that are drawn here."""

import json
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app, run
from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.images import item_images
from recbole_llmfashion.dataset_tools.images.labels import ATTRIBUTES
from recbole_llmfashion.files import changes
from tests.helpers.fakes import ITEM, write_tiny
from tests.helpers.pictures import BLUE, GREEN, RED, as_bytes, bomb, drawn, write_pictures


@pytest.fixture
def shop(tmp_path):
    header, *rows = ITEM.splitlines()
    rows = [f"{row}\tsuede" if row.startswith("11") else f"{row}\t" for row in rows]
    write_tiny(tmp_path, item="\n".join([f"{header}\tmaterial:token", *rows, ""]))
    return tmp_path


def describe(root, *options):
    words = ["describe-images", "--images", str(root / "pictures"), "--out", str(root / "tiny"), *options]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def column(root, name):
    frame = read_folder(root / "tiny").items
    return dict(zip(frame["item_id"], frame[name], strict=True))


def test_pixels_alone(shop):
    """Columns, vectors and copies; the log says that there was no model. Equal pictures are looked at once."""
    before = {path.name: path.read_bytes() for path in (shop / "tiny").iterdir() if path.suffix != ".item"}
    write_pictures(shop / "pictures", {"11": RED, "12": BLUE, "13": RED})
    drawn(GREEN, "rectangle", second=RED).save(shop / "pictures/14.png")
    output = describe(shop)
    assert "no CLIP weights: colors and vectors come from the pixels alone" in output
    assert "pictures: 4 of 6 items, 3 distinct ones; vectors of pixels" in output
    assert "image_color: red 75.0%, blue 25.0%, none 0.0%" in output
    folder = read_folder(shop / "tiny")
    assert folder.item_types["image_color"] == folder.item_types["image_accent"] == "token"
    assert column(shop, "image_color") == {"11": "red", "12": "blue", "13": "red", "14": "red", "15": "", "16": ""}
    assert column(shop, "image_accent")["14"] == "green" and column(shop, "image_accent")["11"] == ""
    assert column(shop, "material")["11"] == "suede"
    assert "image_pattern" not in folder.items
    assert {name: (shop / "tiny" / name).read_bytes() for name in before} == before
    images = item_images(shop / "tiny", "tiny")
    assert images.source == "pixels" and images.item_ids == ("11", "12", "13", "14")
    vectors = images.vectors(["13", "11", "12", "15"])
    assert vectors[0] @ vectors[1] == pytest.approx(1) and vectors[0] @ vectors[2] < 0.8 and not vectors[3].any()
    assert images.data_uri("11").startswith("data:image/jpeg;base64,/9j/") and images.data_uri("15") == ""


def test_equal_pictures_give_equal_bytes(shop):
    write_pictures(shop / "pictures", {"11": RED, "12": BLUE})
    describe(shop)
    first = {path.name: path.read_bytes() for path in (shop / "tiny").iterdir()}
    describe(shop)
    assert {path.name: path.read_bytes() for path in (shop / "tiny").iterdir()} == first


def test_a_column_that_comes_before_the_lock_is_kept(shop, monkeypatch):
    own_folder, path = changes.own_folder, shop / "tiny/tiny.item"

    def own_after_a_writer(folder, option=""):
        path.write_text(path.read_text().replace("suede", "leather"))
        return own_folder(folder, option)

    monkeypatch.setattr(changes, "own_folder", own_after_a_writer)
    write_pictures(shop / "pictures", {"11": RED})
    describe(shop)
    assert column(shop, "material")["11"] == "leather" and column(shop, "image_color")["11"] == "red"


def test_what_is_wrong_with_files_is_counted(shop):
    """One line a reason with the number and the first file; the other pictures are described."""
    folder = write_pictures(shop / "pictures", {"11": RED, "99": BLUE, "98": BLUE})
    (folder / "12.png").write_bytes(as_bytes(drawn())[:100])
    (folder / "13.png").write_bytes(bomb())
    (folder / "14.gif").write_bytes(as_bytes(drawn(), "GIF", save_all=True, append_images=[drawn(BLUE)]))
    (folder / "15.jpg").write_bytes(as_bytes(drawn(mode="CMYK"), "JPEG"))
    drawn(mode="L").save(folder / "16.png")
    (folder / "16.webp").write_bytes(as_bytes(drawn(), "WEBP"))
    (folder / "notes.txt").write_text("x")
    lines = describe(shop).splitlines()
    assert "pictures: 4 of 6 items, 4 distinct ones; vectors of pixels" in lines
    for line in (
        "left out: 2 of no item (first: '98.png')",
        "left out: 1 broken (first: '12.png')",
        "left out: 1 more than 50 megapixels (first: '13.png')",
        "left out: 1 of an item that has another (first: '16.webp')",
        "converted: 1 animated (first: '14.gif')",
        "converted: 1 CMYK (first: '15.jpg')",
        "converted: 1 grey (first: '16.png')",
    ):
        assert line in lines
    assert any(line.startswith("left out: 1 not named .bmp, ") for line in lines)
    assert column(shop, "image_color")["14"] == "red" and column(shop, "image_color")["12"] == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(shop):
    folder = write_pictures(shop / "pictures", {"11": RED, "12": BLUE})
    (folder / "12.png").chmod(0)
    assert "left out: 1 not readable (Permission denied)" in describe(shop)


@pytest.mark.parametrize(
    ("files", "words", "line"),
    [
        ({}, [], "--images: expected a folder of pictures, found none at"),
        ({"99.png": as_bytes(drawn())}, [], "left out: 1 of no item (first: '99.png')"),
        ({"11.png": b"x"}, [], "left out: 1 broken (first: '11.png')"),
        ({"11.png": as_bytes(drawn())}, ["--margin=0.3"], "--margin: only labels by a CLIP model"),
        ({"11.png": as_bytes(drawn())}, ["--clip_pretrained=gone.pt"], "clip_pretrained: 'gone.pt' is neither a file"),
        ({"11.png": as_bytes(drawn())}, ["--clip_model=ViT", "--clip_pretrained=openai"], "clip_model: 'ViT'"),
    ],
)
def test_nothing_to_describe_is_one_line(shop, capsys, files, words, line):
    before = {path.name: path.read_bytes() for path in (shop / "tiny").iterdir()}
    for name, content in files.items():
        (shop / "pictures").mkdir(exist_ok=True)
        (shop / "pictures" / name).write_bytes(content)
    assert run(["describe-images", "--images", str(shop / "pictures"), "--out", str(shop / "tiny"), *words]) == 2
    err = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error")]
    assert len(err) == 1 and line in err[0]
    assert {path.name: path.read_bytes() for path in (shop / "tiny").iterdir()} == before


def test_the_readme_says_what_was_done(shop):
    readme = shop / "tiny/README.md"
    readme.write_text("# tiny\n\nAbout it.\n")
    write_pictures(shop / "pictures", {"11": RED})
    describe(shop)
    first = readme.read_text()
    assert first.startswith("# tiny\n\nAbout it.\n\n## Pictures\n")
    assert "    recbole-llmfashion describe-images --images pictures --out dataset/tiny\n" in first
    assert "- pictures: 1 of 6 items" in first
    describe(shop)
    assert readme.read_text() == first
    readme.write_text(f"{first}\n## Licence\n\nAsk us.\n")
    describe(shop)
    assert readme.read_text() == f"{first}\n## Licence\n\nAsk us.\n"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained CLIP of two thin layers a tower, as a model and a checkpoint file of open_clip."""
    import open_clip
    import torch

    folder = tmp_path_factory.mktemp("clip")
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    (folder / "toy-clip.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(open_clip.create_model("toy-clip").state_dict(), folder / "toy.pt")
    return folder / "toy.pt"


def test_labels_by_a_model(shop, checkpoint):
    """An untrained model: what it says means nothing, and that the margin decides is seen at both ends."""
    write_pictures(shop / "pictures", {"11": RED, "12": BLUE, "13": GREEN})
    output = describe(shop, "--clip_model=toy-clip", f"--clip_pretrained={checkpoint}", "--margin=0")
    assert "vectors of checkpoint:toy-clip/toy.pt" in output and "no CLIP weights" not in output
    assert column(shop, "image_pattern")["11"] in ATTRIBUTES["pattern"] and column(shop, "image_pattern")["15"] == ""
    assert column(shop, "image_color")["11"] == "red"
    images = item_images(shop / "tiny", "tiny")
    assert images.source == "checkpoint:toy-clip/toy.pt" and images.vectors(["11", "12"]).shape == (2, 16)
    output = describe(shop, "--clip_model=toy-clip", f"--clip_pretrained={checkpoint}", "--margin=1")
    assert "image_material: none 100.0%" in output
    assert set(column(shop, "image_material").values()) == {""}
    describe(shop)
    assert "image_pattern" not in read_folder(shop / "tiny").items  # what an earlier call said is gone


def test_both_towers_are_of_one_model(checkpoint):
    from recbole_llmfashion.embedding.clip_images import load_towers

    towers = load_towers("toy-clip", str(checkpoint))
    pictures, texts = towers.encode_images([drawn(), drawn(BLUE)]), towers.encode_texts(["a", "b", "a"])
    assert pictures.shape == (2, 16) and pictures.dtype == np.float32
    assert np.linalg.norm(pictures, axis=1) == pytest.approx(1) and not np.allclose(pictures[0], pictures[1])
    assert np.allclose(texts[0], texts[2]) and not np.allclose(texts[0], texts[1])
    assert towers.scale == pytest.approx(1 / 0.07, rel=1e-3)  # open_clip's first value
