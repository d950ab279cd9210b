"""Pictures on the page and in the report: those of the dataset's file, as data URIs, and nothing else."""

import numpy as np
import pytest

from recbole_llmfashion.data.images.image_file import ItemImages, images_bytes
from recbole_llmfashion.serving.demo import markup
from recbole_llmfashion.serving.demo.view import Product, product
from recbole_llmfashion.study.report.document import Document, ItemPicture
from recbole_llmfashion.study.report.html import page
from tests.helpers.demo import FakeState
from tests.helpers.pictures import as_bytes, drawn

HOSTILE = '"><script>alert(1)</script>{{ 7 * 7 }}${1}'


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "tiny.images.safetensors"
    small = [as_bytes(drawn(), "JPEG"), b"<svg onload=alert(1)>"]
    path.write_bytes(images_bytes(["11", "12"], np.eye(2, dtype=np.float32), small, "pixels"))
    return ItemImages(path)


def test_a_product_has_its_picture(images):
    state = FakeState()
    state.run.images = images
    shown = [product(state, state.pool.catalogue.item_ids.index(item)) for item in ("11", "12", "13")]
    assert [one.picture[:23] for one in shown] == ["data:image/jpeg;base64,", "", ""]  # no JPEG, no picture
    strip = markup.results("boots", shown)
    assert strip.count("<img") == 1 and f'src="{shown[0].picture}"' in strip
    assert "<img" not in markup.results("boots", shown[1:]) and "lf-pictures" not in markup.results("", shown[1:])
    assert "<img" not in markup.results("")


def test_hostile_texts_beside_a_picture_are_escaped(images):
    shown = Product(HOSTILE, HOSTILE, HOSTILE, picture=images.data_uri("11"))
    text = markup.results(HOSTILE, [shown])
    assert "<script" not in text and "{{" not in text and "${" not in text and text.count("<img") == 1
    hostile = Product("1", "boots", "", picture=f'x" onerror="{HOSTILE}')
    assert 'onerror="' not in markup.results("", [hostile])


def report(*pictures):
    document = Document("compare", "A study", "tiny", {}, [1], "x", {}, pictures=list(pictures))
    read_back = Document.from_json(document.as_json())
    assert read_back.pictures == list(pictures) and ("pictures" in document.as_json()) is bool(pictures)
    return page(read_back, {})


def test_the_report_shows_pictures_and_loads_nothing(images):
    good = ItemPicture("11", HOSTILE, images.data_uri("11"))
    text = report(good, *(ItemPicture("1", "x", data) for data in ("https://example.org/a.jpg", 'x" onerror="y', "")))
    assert text.count("<img") == 1 and good.data in text and "<script" not in text and "example.org" not in text
    assert "<img" not in report() and 'id="items"' not in report()
