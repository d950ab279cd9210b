"""Datasets for benchmarks/smollm2.py: some customers of a dataset, and items that have the text of others."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SEED = 2020  # of every row, and of the order in which texts move


def chosen_users(users: Sequence[str], count: int) -> set[str]:
    """The users with the smallest SHA-256 of their id."""
    return set(sorted(users, key=lambda user: hashlib.sha256(user.encode()).hexdigest())[:count])


def with_users(lines: Sequence[str], users: set[str]) -> list[str]:
    """The lines of an `.inter` or `.search` file that belong to some users, and its header."""
    at = [name.split(":")[0] for name in lines[0].split("\t")].index("user_id")
    return [lines[0], *(line for line in lines[1:] if line.split("\t")[at] in users)]


def with_shuffled_texts(lines: Sequence[str]) -> list[str]:
    """The lines of an `.item` file where each item has all the text of another one; ids stay."""
    at = [name.split(":")[0] for name in lines[0].split("\t")].index("item_id")
    rows = [line.split("\t") for line in lines[1:]]
    order = np.random.default_rng(SEED).permutation(len(rows))
    places = np.empty_like(order)
    places[order] = np.roll(order, 1)  # one circle through all items: none keeps its text
    texts = [[*row[:at], *row[at + 1 :]] for row in rows]
    moved = [[*texts[places[i]][:at], row[at], *texts[places[i]][at:]] for i, row in enumerate(rows)]
    return [lines[0], *("\t".join(row) for row in moved)]


def write_dataset(source: Path, folder: Path, users: int | None, shuffled: bool = False) -> Path:
    """Writes the dataset of a row, named as its folder; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {suffix: source / f"{source.name}.{suffix}" for suffix in ("inter", "search", "item")}
    lines = {suffix: file.read_text("utf-8").splitlines() for suffix, file in files.items() if file.is_file()}
    if users is not None:
        at = [name.split(":")[0] for name in lines["inter"][0].split("\t")].index("user_id")
        kept = chosen_users(sorted({line.split("\t")[at] for line in lines["inter"][1:]}), users)
        lines |= {name: with_users(lines[name], kept) for name in ("inter", "search") if name in lines}
    if shuffled:
        lines["item"] = with_shuffled_texts(lines["item"])
    for suffix, content in lines.items():
        (folder / f"{folder.name}.{suffix}").write_text("\n".join(content) + "\n", "utf-8")
    return folder
