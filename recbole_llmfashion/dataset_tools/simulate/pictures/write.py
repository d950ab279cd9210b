"""Draws a picture for each item of a simulated dataset: DIR/<item id>.png, and a README.md that says so.

The sizes of a product in one color share a picture. A family has one pattern, mostly that of its style, so pictures
tell something of a customer's taste that no column of `.item` says. The dataset itself does not depend on the pictures.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from recbole_llmfashion.dataset_tools.simulate.draws import gumbel_argmax
from recbole_llmfashion.dataset_tools.simulate.pictures.draw import PATTERNS, SHADES, Garment, draw_garment
from recbole_llmfashion.dataset_tools.simulate.readme import MARK
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue
from recbole_llmfashion.dataset_tools.simulate.simulation import SimulationSettings, make_shop
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.folders import publish_folder, temporary_folder

_README = "README.md"
_STYLED = 1.6  # log-weight of the pattern of a family's style
_PLAIN = 0.9  # of no pattern
_SECONDS = ("White", "Black", "Beige", "Navy", "Red", "Gold", "Grey")
_STREAM = 20_240_930  # of random numbers: other than those of the data


def refuse_pictures(images: Path, out: Path) -> None:
    """Checks where pictures go, before anything is simulated.

    Args:
        images: the folder of the pictures.
        out: the folder of the dataset.

    Raises:
        UserError: it has files, or is the dataset's or within it.
    """
    if images.is_file() or (images.is_dir() and any(images.iterdir())):
        raise UserError(f"--images: expected an empty or new folder, found files at {images}; choose another folder")
    if images.resolve().is_relative_to(out.resolve()):
        raise UserError(f"--images: {images} is in the dataset's folder {out}; choose a folder outside of it")


def garments(catalogue: SimulatedCatalogue, ids: np.ndarray, items: pd.DataFrame, seed: int) -> dict[str, Garment]:
    """What the picture of each item shows, by item id.

    Args:
        catalogue: of the shop.
        ids: [items] the items' ids in the catalogue's order.
        items: the frame of `.item`, for the words of the colors.
        seed: of the simulation.
    """
    families, rng = catalogue.families, np.random.default_rng([seed, _STREAM])
    count = len(families.brand)
    weights = np.zeros((count, len(PATTERNS)))
    weights[np.arange(count), families.style % len(PATTERNS)] += _STYLED
    weights[:, 0] += _PLAIN
    pattern = gumbel_argmax(weights, 1.0, rng)
    second = rng.integers(len(_SECONDS), size=count)
    seeds = rng.integers(2**31, size=count)
    word = dict(zip(items["item_id"], items["color"], strict=True))
    types = catalogue.category.types
    found = {}
    for item, family, segment in zip(ids.tolist(), catalogue.family, catalogue.segment, strict=True):
        color = word[item]
        pair = [shade for shade in _SECONDS if _distance(shade, color) > 120]
        found[item] = Garment(
            types[segment % len(types)].name,
            color,
            pair[second[family] % len(pair)],
            PATTERNS[pattern[family]],
            int(seeds[family]),
        )
    return found


def _distance(one: str, other: str) -> float:
    """Between two shades, as numbers of sRGB."""
    pairs = [(int(SHADES[one][at : at + 2], 16), int(SHADES[other][at : at + 2], 16)) for at in (1, 3, 5)]
    return float(np.linalg.norm(np.diff(pairs, axis=1)))


def write_pictures(
    images: Path, settings: SimulationSettings, items: pd.DataFrame, command: str, show_progress: bool = False
) -> tuple[int, int]:
    """Draws the pictures of a simulated dataset.

    Args:
        images: the folder to make.
        settings: of the simulation.
        items: the frame of `.item`.
        command: the command line that draws them.
        show_progress: whether to show a progress bar.

    Returns:
        the number of pictures, and of distinct ones.
    """
    shop = make_shop(settings)
    shown = garments(shop.catalogue, shop.ids, items, settings.seed)
    content: dict[Garment, bytes] = {}
    with temporary_folder(images, "--images") as partial:
        for item, garment in tqdm(shown.items(), desc="pictures", unit="file", disable=not show_progress):
            if garment not in content:
                file = BytesIO()
                draw_garment(garment).save(file, "PNG")
                content[garment] = file.getvalue()
            (partial / f"{item}.png").write_bytes(content[garment])
        text = f"# Drawn pictures of simulated products, {MARK}\n\n    {command}\n\nNo picture shows a real product.\n"
        (partial / _README).write_text(text, encoding="utf-8")
        if images.is_dir():
            images.rmdir()
        publish_folder(partial, images, _README)
    return len(shown), len(content)
