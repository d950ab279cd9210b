"""Drawn pictures of a simulated shop: what they show, and that the dataset does not depend on them."""

import numpy as np
import pytest
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app, run
from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.dataset_tools.images.colors import dominant_colors, small_lab
from recbole_llmfashion.dataset_tools.images.lab import color_name, to_lab
from recbole_llmfashion.dataset_tools.images.pictures import read_picture
from recbole_llmfashion.dataset_tools.images.pixel_vectors import pixel_vector
from recbole_llmfashion.dataset_tools.simulate.pictures.draw import PATTERNS, SHADES, SIDE, Garment, draw_garment
from recbole_llmfashion.dataset_tools.simulate.pictures.outlines import OUTLINE_OF, OUTLINES, parts
from recbole_llmfashion.dataset_tools.simulate.shop.types_fashion import FASHION_CATEGORIES
from recbole_llmfashion.dataset_tools.simulate.shop.words import COLORS
from tests.helpers.fakes import simulated_shop
from tests.helpers.pictures import as_bytes

SIZE = ["--category", "footwear", "--users", "40", "--items", "300", "--seed", "3"]


def test_every_fashion_type_has_an_outline():
    kinds = {kind.name for category in FASHION_CATEGORIES for kind in category.types}
    assert kinds == set(OUTLINE_OF) and set(OUTLINE_OF.values()) | {"box"} == set(OUTLINES)


def test_every_word_for_a_color_has_a_shade():
    assert set(SHADES) == {word for words in COLORS.values() for word in words}


@pytest.mark.parametrize("outline", OUTLINES)
def test_outlines_are_on_the_square(outline):
    for kind, points in parts(outline):
        assert kind in ("body", "trim", "oval", "ring", "hole", "line") and len(points) >= 2
        assert all(0 <= number <= 100 for point in points for number in point)


def look(garment):
    return small_lab(read_picture(as_bytes(draw_garment(garment))))


@pytest.mark.parametrize("kind", ["Ankle Boots", "Sandals", "Formal Dresses", "Watches", "Board Games"])
@pytest.mark.parametrize("color", ["Black", "White", "Royal Blue", "Olive"])
def test_a_plain_product_has_its_color(kind, color):
    garment = Garment(kind, color, "Red", "plain", 5)
    lab, chosen = look(garment)
    expected = next(base for base, words in COLORS.items() if color in words)
    assert expected in [name for name, _ in dominant_colors(lab, chosen)]
    assert 0.03 < chosen.mean() < 0.7  # the ground is no part of it


@pytest.mark.parametrize("pattern", PATTERNS[1:])
def test_a_pattern_has_both_colors(pattern):
    garment = Garment("Winter Coats", "Royal Blue", "White", pattern, 5)
    lab, chosen = look(garment)
    names = [color_name(point) for point in lab[chosen]]
    assert names.count("blue") / len(names) > 0.2 and names.count("white") / len(names) > 0.1


def test_pictures_are_the_same_each_time_and_of_one_size():
    garment = Garment("Loafers", "Gold", "Black", "striped", 9)
    assert draw_garment(garment).size == (SIDE, SIDE) and as_bytes(draw_garment(garment)) == as_bytes(
        draw_garment(garment)
    )
    assert as_bytes(draw_garment(garment)) != as_bytes(draw_garment(Garment("Loafers", "Gold", "Black", "striped", 10)))


def test_the_same_type_is_nearer_than_another():
    boot, other, dress = (
        pixel_vector(*look(Garment(kind, "Red", "Black", "plain", seed)))
        for kind, seed in (("Ankle Boots", 1), ("Rain Boots", 1), ("Flip Flops", 1))
    )
    assert boot @ other > boot @ dress + 0.05


@pytest.mark.slow
def test_the_dataset_is_what_it_is_without_pictures(tmp_path):
    plain = simulated_shop(tmp_path / "plain")
    words = ["simulate", *SIZE, "--out", str(tmp_path / "shoes"), "--images", str(tmp_path / "drawn")]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, (made.output, made.exception)
    folder = read_folder(tmp_path / "shoes")
    for path in sorted((tmp_path / "shoes").iterdir()):
        assert path.read_bytes() == next(plain.rglob(path.name)).read_bytes()
    drawn = {path.stem: path.read_bytes() for path in (tmp_path / "drawn").glob("*.png")}
    assert set(drawn) == set(folder.items["item_id"])
    assert "No picture shows a real product." in (tmp_path / "drawn/README.md").read_text()
    # the sizes of a product share a picture; products of one family in another color do not
    assert f"300 pictures, {len(set(drawn.values()))} distinct" in made.stdout and 50 < len(set(drawn.values())) < 250
    described = CliRunner().invoke(
        app, ["describe-images", "--images", str(tmp_path / "drawn"), "--out", str(tmp_path / "shoes")]
    )
    assert described.exit_code == 0, (described.output, described.exception)
    items = read_folder(tmp_path / "shoes").items
    base = {word: name for name, words in COLORS.items() for word in words}
    dominant = (items["color"].map(base) == items["image_color"]) | (items["color"].map(base) == items["image_accent"])
    assert dominant.mean() > 0.75
    again = CliRunner().invoke(app, ["simulate", *SIZE, "--out", str(tmp_path / "shoes")])
    assert again.exit_code == 0 and not (tmp_path / "shoes/shoes.images.safetensors").exists()


@pytest.mark.parametrize(("place", "line"), [("full", "found files at"), ("shop/pictures", "in the dataset's folder")])
def test_where_pictures_may_not_go(tmp_path, capsys, place, line):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("x")
    words = ["simulate", *SIZE, "--out", str(tmp_path / "shop"), "--images", str(tmp_path / place)]
    assert run(words) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert len(err) == 1 and line in err[0] and not (tmp_path / "shop").exists()


def test_shades_are_read_as_their_base_color_mostly():
    """Names of shades are a matter of taste; more than five in six agree."""
    base = {word: name for name, words in COLORS.items() for word in words}
    rgb = {
        word: np.array([int(shade[at : at + 2], 16) for at in (1, 3, 5)], np.uint8) for word, shade in SHADES.items()
    }
    agree = [color_name(to_lab(rgb[word])) == base[word] for word in SHADES]
    assert np.mean(agree) >= 0.85
