"""Pictures of every kind and what is read of them: drawn here, broken here."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recbole_llmfashion.dataset_tools.images import pictures
from recbole_llmfashion.dataset_tools.images.pictures import BadPictureError, read_picture, small_copy
from tests.helpers.pictures import BLUE, RED, as_bytes, bomb, drawn


def middle(picture):
    return picture.rgb[picture.rgb.shape[0] // 2, picture.rgb.shape[1] // 2].tolist()


def test_a_plain_picture():
    picture = read_picture(as_bytes(drawn()))
    assert middle(picture) == list(RED) and picture.kinds == () and picture.opaque.all()
    assert picture.image.size == (80, 60)


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (as_bytes(drawn(mode="L")), ("grey",)),
        (as_bytes(drawn(mode="1")), ("grey",)),
        (as_bytes(drawn(mode="CMYK"), "JPEG", quality=95), ("CMYK",)),
        (as_bytes(drawn(mode="P")), ()),
        (as_bytes(drawn(), "GIF", save_all=True, append_images=[drawn(BLUE)]), ("animated",)),
        (as_bytes(drawn(), "WEBP", lossless=True, save_all=True, append_images=[drawn(BLUE)]), ("animated",)),
    ],
    ids=["grey", "black-and-white", "CMYK", "palette", "gif", "webp"],
)
def test_what_is_converted(content, kinds):
    """An animation is its first frame; colors stay within what JPEG and palettes lose."""
    picture = read_picture(content)
    assert picture.image.mode == "RGB" and picture.kinds == kinds
    if "grey" in kinds:
        assert len(set(middle(picture))) == 1
    else:
        assert np.abs(np.array(middle(picture)) - RED).max() <= 30


def test_sixteen_bits_keep_their_levels():
    levels = np.full((20, 20), 60_000, np.uint16)
    levels[5:15, 5:15] = 30_000
    picture = read_picture(as_bytes(Image.fromarray(levels)))
    assert picture.kinds == ("grey",)
    assert middle(picture) == [116] * 3 and picture.rgb[0, 0].tolist() == [233] * 3  # level * 255 / 65535, cut


def test_transparent_pixels_do_not_count():
    image = drawn(ground=(0, 255, 0)).convert("RGBA")
    pixels = np.array(image)
    pixels[(pixels[..., :3] == (0, 255, 0)).all(axis=-1), 3] = 0
    picture = read_picture(as_bytes(Image.fromarray(pixels)))
    assert picture.kinds == ("transparent",) and not picture.opaque[0, 0] and picture.opaque[30, 40]
    assert picture.rgb[0, 0].tolist() == [255, 255, 255] and middle(picture) == list(RED)


def test_a_camera_held_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by a quarter
    assert read_picture(as_bytes(drawn(), "JPEG", exif=exif)).image.size == (60, 80)


def test_a_large_one_is_made_small():
    assert read_picture(as_bytes(drawn(size=(2000, 1000)), "JPEG")).image.size == (512, 256)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "broken"),
        (b"no picture", "broken"),
        (as_bytes(drawn())[:200], "broken"),
        (as_bytes(drawn(size=(400, 300)), "JPEG")[:1500], "broken"),
        (as_bytes(drawn(), "EPS"), "broken"),  # Pillow would start another program for it
        (bomb(), "more than 50 megapixels"),
        (bomb(9_000, 9_000), "more than 50 megapixels"),
        (bomb(1, 60_000_000), "more than 50 megapixels"),
    ],
    ids=["empty", "text", "cut-png", "cut-jpeg", "eps", "bomb", "small-bomb", "line"],
)
def test_what_is_left_out(content, reason):
    with pytest.raises(BadPictureError, match=f"^{reason}$"):
        read_picture(content)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_bytes_are_a_picture_or_a_reason(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]))
    content = bytearray(as_bytes(drawn(size=(24, 16)), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = read_picture(bytes(content[: data.draw(st.integers(1, len(content)))]))
    except BadPictureError:
        return
    assert picture.image.mode == "RGB" and picture.opaque.shape == picture.rgb.shape[:2]


def test_the_small_copy_holds_nothing_else():
    """Neither the camera's place nor a comment of the file goes into the copy."""
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    content = as_bytes(drawn(size=(300, 150)), "JPEG", exif=exif, comment=b"hidden")
    copy = small_copy(read_picture(content))
    assert b"secret" in content and b"hidden" in content
    assert b"secret" not in copy and b"hidden" not in copy and copy.startswith(b"\xff\xd8\xff")
    assert Image.open(BytesIO(copy)).size == (96, 48)


def test_files_by_the_ends_of_their_names(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.PNG", "a.jpeg", "sub/c.webp", "notes.txt", "d.svg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "e.png").mkdir()
    files, others = pictures.picture_files(tmp_path)
    assert [path.name for path in files] == ["a.jpeg", "b.PNG", "c.webp"]
    assert [path.name for path in others] == [
        "d.svg",
        "notes.txt",
    ]
