"""The pictures of a dataset go with a copy of it, and not with the items of another conversion."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from recbole_llmfashion.cli.datasets import register
from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder
from recbole_llmfashion.data.atomic.writer import write_folder
from recbole_llmfashion.data.images.image_file import images_bytes, images_path, item_images
from recbole_llmfashion.dataset_tools.convert.sources.table import TableColumns, convert_table
from recbole_llmfashion.dataset_tools.plant.planting import PlantSettings, plant
from recbole_llmfashion.dataset_tools.plant.write import write

USERS = 12


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    rows = [(f"u{u}", f"i{(u + step) % 3}", "purchase", 10.0 * step) for u in range(USERS) for step in range(6)]
    inter = pd.DataFrame(rows, columns=["user_id", "item_id", "action", "timestamp"])
    searches = pd.DataFrame(
        {"user_id": [f"u{u}" for u in range(USERS)], "timestamp": 0.5, "query": "boots", "results": ""}
    )
    texts = dict.fromkeys(("brand", "color", "size", "category"), "")
    items = pd.DataFrame({"item_id": ["i0", "i1", "i2"], "title": ["A", "B", "C"], **texts})
    write_folder(AtomicFolder("shop", tmp_path / "shop", inter, searches, items))
    draw_pictures(tmp_path / "shop")
    return tmp_path / "shop"


def draw_pictures(folder: Path) -> None:
    content = images_bytes(["i0", "i2"], np.eye(2, dtype=np.float32), [b"\xff\xd8\xff1", b"\xff\xd8\xff2"], "pixels")
    images_path(folder, folder.name).write_bytes(content)


def pictured(folder: Path) -> tuple[str, ...]:
    images = item_images(folder, folder.name)
    return () if images is None else images.item_ids


def test_clean_copies_them(shop: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    for _ in range(2):  # the second call finds its own files
        result = CliRunner().invoke(app, ["clean", str(shop), "--out", str(tmp_path / "copy")])
        assert result.exit_code == 0, result.output
    assert pictured(tmp_path / "copy") == pictured(shop) == ("i0", "i2")


def test_planted_datasets_have_them(shop: Path, tmp_path: Path) -> None:
    source = read_folder(shop)
    settings = PlantSettings(counts=(1,), canaries=1, candidates=2, left_out=0, seed=1)
    write(*plant(source, tmp_path / "copy", settings), source, "the command")
    assert pictured(tmp_path / "copy") == ("i0", "i2")


def test_another_conversion_removes_them(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("u,i,t\n1,i0,1\n1,i2,2\n")
    (tmp_path / "items.csv").write_text("i,n\ni0,A\ni2,B\n")
    shop = tmp_path / "shop"

    def convert() -> tuple[list[str], str]:
        columns = TableColumns(user="u", item="i", time="t", title="n")
        notes = convert_table(tmp_path / "events.csv", tmp_path / "items.csv", columns, shop)[1]
        return notes, (shop / "README.md").read_text()

    first, readme = convert()
    draw_pictures(shop)
    again, readme_again = convert()
    note = "shop.images.safetensors, the pictures of the items before, removed; run describe-images again"
    assert again == [*first, note] and readme_again == readme and pictured(shop) == ()
