"""Colors and vectors of drawn pictures."""

import numpy as np
import pytest
from PIL import Image

from recbole_llmfashion.dataset_tools.images.colors import dominant_colors, small_lab
from recbole_llmfashion.dataset_tools.images.lab import NAMES, color_name, to_lab
from recbole_llmfashion.dataset_tools.images.pictures import read_picture
from recbole_llmfashion.dataset_tools.images.pixel_vectors import WIDTH, pixel_vector
from tests.helpers.pictures import BLUE, GREEN, RED, as_bytes, drawn


def look(image):
    return small_lab(read_picture(as_bytes(image)))


def colors(image):
    return dominant_colors(*look(image))


def vector(image):
    return pixel_vector(*look(image))


def test_lab_by_hand():
    """The published values of sRGB's primaries and greys (D65): blue, green, mid grey."""
    lab = to_lab(np.array([[0, 0, 255], [0, 255, 0], [119, 119, 119]], np.uint8))
    assert lab[0] == pytest.approx([32.30, 79.19, -107.86], abs=0.03)
    assert lab[1] == pytest.approx([87.73, -86.18, 83.18], abs=0.03)
    assert lab[2] == pytest.approx([50.03, 0, 0], abs=0.02)


def test_each_shade_has_its_name():
    for name, shades in NAMES.items():
        for shade in shades:
            rgb = np.array([int(shade[at : at + 2], 16) for at in (1, 3, 5)], np.uint8)
            assert color_name(to_lab(rgb)) == name, shade


@pytest.mark.parametrize(
    ("color", "name"),
    [(RED, "red"), (BLUE, "blue"), (GREEN, "green"), ((25, 25, 25), "black"), ((30, 40, 80), "navy")],
)
@pytest.mark.parametrize("ground", ["white", (210, 215, 220), (15, 15, 90)])
def test_the_ground_is_no_color(color, name, ground):
    assert colors(drawn(color, ground=ground)) == [(name, 1.0)]


def test_white_on_white_within_a_line():
    """The line ends the background; what it encloses is of the product."""
    image = drawn((60, 60, 60), "rectangle", size=(64, 64))
    pixels = np.array(image)
    pixels[12:52, 12:52] = 255
    assert colors(Image.fromarray(pixels))[0][0] == "white"


def test_two_colors_have_their_shares():
    found = dict(colors(drawn(RED, "rectangle", second=BLUE)))
    assert found == {"red": pytest.approx(0.5, abs=0.03), "blue": pytest.approx(0.5, abs=0.03)}


def test_a_little_of_a_color_is_not_dominant():
    image = drawn(RED, "rectangle")
    image.paste(BLUE, (30, 20, 40, 30))
    assert [name for name, _ in colors(image)] == ["red"]


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (3, 2)])
def test_tiny_pictures(size):
    image = Image.new("RGB", size, GREEN)
    assert colors(image) == [("green", 1.0)]
    assert np.linalg.norm(vector(image)) == pytest.approx(1)


def test_nothing_but_background_is_taken_as_a_whole():
    assert colors(Image.new("RGB", (40, 40), BLUE)) == [("blue", 1.0)]


def test_vectors_say_color_and_outline():
    """Same picture 1; the same outline in another color a half; the same color in another outline more."""
    red = vector(drawn(RED))
    assert red.shape == (WIDTH,) and red.dtype == np.float32
    assert red @ vector(drawn(RED, size=(160, 120))) == pytest.approx(1, abs=0.01)
    assert red @ vector(drawn(BLUE)) == pytest.approx(0.5, abs=0.01)
    assert 0.5 < red @ vector(drawn(RED, "rectangle")) < 0.999


def test_the_outline_by_hand():
    """A rectangle fills each field of the grid of its box: 64 equal numbers of 1/8, halved in square by the colors."""
    grid = vector(drawn(RED, "rectangle"))[-64:]
    assert grid == pytest.approx(np.full(64, 0.125 / np.sqrt(2)), abs=1e-6)
