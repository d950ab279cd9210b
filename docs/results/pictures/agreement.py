"""How often the colors of drawn pictures are the colors that the simulator gave the items.

    python docs/results/pictures/agreement.py dataset/boots

The dataset was made by `simulate --images` and described by `describe-images`. Each of the simulator's words for a
color belongs to a base color (navy, Dark Blue), which is compared with the columns image_color and image_accent.
"""

import sys
from pathlib import Path

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.dataset_tools.simulate.shop.words import COLORS


def table(folder: Path) -> list[str]:
    """A line for each base color, and one for all items."""
    items = read_folder(folder).items
    base = items["color"].map({word: name for name, words in COLORS.items() for word in words})
    first = items["image_color"] == base
    either = first | (items["image_accent"] == base)
    lines = ["| color | items | first | first or second | else most often |", "|---|---|---|---|---|"]
    for name in COLORS:
        own = base == name
        others = items.loc[own & ~first, "image_color"].value_counts()
        other = f"{others.index[0]} {others.iloc[0] / own.sum():.1%}" if len(others) else ""
        lines.append(f"| {name} | {own.sum():,} | {first[own].mean():.1%} | {either[own].mean():.1%} | {other} |")
    return [*lines, f"| all | {len(items):,} | {first.mean():.1%} | {either.mean():.1%} | |"]


if __name__ == "__main__":
    print("\n".join(table(Path(sys.argv[1]))))
