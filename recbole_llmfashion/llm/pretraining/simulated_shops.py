"""Training examples for tiny-falcon from a simulated shop, a folder of atomic files.

Its brands are replaced by invented names, so that the model learns nothing about brands of evaluation datasets.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder
from recbole_llmfashion.llm.pretraining.shop_examples import Shop, ShopExamples

SYLLABLES = (
    *("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lu", "my", "no", "pa", "qui", "ru"),
    *("sho", "ta", "ve", "wi", "xo", "yu", "zen", "tri", "plo", "kra"),
)
EARLIER = 0.3  # share of users whose example ends at an earlier purchase than their last


def rename_brands(folder: AtomicFolder, rng: np.random.Generator) -> AtomicFolder:
    """Replaces the brands in titles, attributes and queries by invented names.

    Args:
        folder: atomic files; not changed.
        rng: random generator of the names.
    """
    # sorted, because names must not depend on a set's order; longest first, so that no part of a brand is replaced
    brands = sorted({brand for brand in folder.items["brand"] if brand}, key=lambda brand: (-len(brand), brand))
    names: dict[str, str] = {}
    while len(names) < len(brands):
        name = "".join(rng.choice(SYLLABLES, rng.integers(2, 4))).capitalize()
        if name not in names.values() and name not in brands:
            names[brands[len(names)]] = name
    if not names:
        return folder
    lower = {brand.lower(): name for brand, name in names.items()}
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, brands)) + r")\b", re.IGNORECASE)

    def renamed(match: re.Match[str]) -> str:
        name = lower[match[0].lower()]
        return name.lower() if match[0].islower() else name

    items, searches = folder.items.copy(), folder.searches.copy()
    for frame, column in ((items, "title"), (items, "brand"), (searches, "query")):
        frame[column] = [pattern.sub(renamed, text) for text in frame[column]]
    return AtomicFolder(folder.name, folder.path, folder.interactions, searches, items)


def read_shop(path: Path, tokenizer: Any, seed: int) -> ShopExamples:
    """Reads a shop and builds its examples, one of each kind per user.

    The response is the user's last purchase or, with probability EARLIER, a random one.

    Args:
        path: a folder of atomic files.
        tokenizer: the backbone's.
        seed: random seed for brand names and for the choice of purchases.
    """
    rng = np.random.default_rng(seed)
    shop = Shop(rename_brands(read_folder(path), rng))

    def responses(bought: np.ndarray) -> list[int]:
        return [int(rng.choice(bought) if rng.random() < EARLIER else bought[-1])]

    return ShopExamples(
        name=path.name,
        words=shop.words(tokenizer),
        listed=shop.listed(tokenizer, responses),
        spelled=shop.spelled(tokenizer, responses),
        positions=shop.positions(),
    )
