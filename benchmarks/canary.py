"""What a run gives away of one customer's searches: the exposure of canaries, with and without `min_askers`.

    python benchmarks/canary.py [--users 300] [--items 300] [--canaries 8] [--seed 7] [--config_files FILE]

Simulates a shop and plants canaries in it: each is a query of three invented words that one training user types once,
and an item that this user then clicks. Twins are queries of the same kind that nobody typed, with items drawn the same
way. After the main job, other clients send the run the exact query, the query with a letter wrong, its first two words
or its first. The exposure of an answer is log2(items) - log2(rank of the item), in bits: 0 for the last place, all
bits of the catalogue for the first. A run gives nothing away where canaries are no more exposed than twins. The table
has the run as it is (`min_askers` 1) and as an export serves it (2). The last line is `ratio <number>`: the mean
exposure of exact canaries with 2 over that with 1.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from statistics import mean

import pandas as pd

CATEGORY = "luggage_bags"
PROBES: dict[str, Callable[[str], str]] = {
    "exact query": lambda query: query,
    "a letter wrong": lambda query: query[:2] + ("x" if query[2] != "x" else "q") + query[3:],
    "first two words": lambda query: " ".join(query.split()[:2]),
    "first word": lambda query: query.split()[0],
}


def exposure(rank: int, items: int) -> float:
    """Bits that an answer gives away.

    Args:
        rank: place of the item, from 1.
        items: number of items that are ranked.
    """
    return log2(items) - log2(rank)


@dataclass(frozen=True)
class Canary:
    """A query and the item that was clicked after it."""

    query: str
    item: str


def invented(draw: random.Random) -> str:
    """Three words of six letters."""
    return " ".join("".join(draw.choice("bdfgklmnprtvz") + draw.choice("aeiou") for _ in range(3)) for _ in range(3))


def read(path: Path) -> pd.DataFrame:
    """An atomic file as texts."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def plant(folder: Path, name: str, canaries: Sequence[Canary], draw: random.Random) -> list[str]:
    """Adds a search and a click for each canary, to a user of its own, between the user's first two actions.

    Returns:
        the users.
    """
    inter, searches = read(folder / f"{name}.inter"), read(folder / f"{name}.search")
    user, time = "user_id:token", "timestamp:float"
    rows = {str(key): group[time].astype(float).tolist() for key, group in inter.groupby(user)}
    # at least three further actions, so that the search is part of the training log; two seconds for search and click
    able = [key for key, times in rows.items() if len(times) >= 5 and times[1] - times[0] > 2]
    if len(able) < len(canaries):
        raise SystemExit(
            f"--canaries: {len(canaries)} need a user each, and {len(able)} have enough actions; add --users"
        )
    users = draw.sample(able, len(canaries))
    for key, canary in zip(users, canaries, strict=True):
        at = rows[key][0]
        new = {user: key, time: f"{at + 1:.0f}", "query:token": canary.query, "results:token_seq": canary.item}
        searches = pd.concat([searches, pd.DataFrame([new])])
        click = {user: key, time: f"{at + 2:.0f}", "item_id:token": canary.item, "action:token": "click"}
        inter = pd.concat([inter, pd.DataFrame([click])])
    for frame, suffix in ((inter, "inter"), (searches, "search")):
        order = frame[user].map({key: i for i, key in enumerate(dict.fromkeys(frame[user]))})
        # stable, so actions of the same time stay in their order
        frame = frame.assign(order=order, at=frame[time].astype(float)).sort_values(["order", "at"], kind="stable")
        frame.drop(columns=["order", "at"]).to_csv(folder / f"{name}.{suffix}", sep="\t", index=False)
    return users


def ranks(recommender: object, canaries: Sequence[Canary], items: int) -> dict[str, list[int]]:
    """For each probe, the rank of each canary's item, from 1."""
    found: dict[str, list[int]] = {}
    for name, probe in PROBES.items():
        found[name] = []
        for canary in canaries:
            action = {"action": "search", "query": probe(canary.query), "timestamp": 0}
            lines = recommender.recommend([action], items)  # type: ignore[attr-defined]
            found[name].append([line.item for line in lines].index(canary.item) + 1)
    return found


def cell(found: Sequence[int], items: int) -> str:
    """Mean exposure, and how many are among the first ten."""
    bits = mean(exposure(rank, items) for rank in found)
    return f"{bits:.1f} bits, {sum(rank <= 10 for rank in found)} of {len(found)} in the first 10"


def run_of(folder: Path, arguments: argparse.Namespace) -> Path:
    """Trains LLMFashionRec on the shop; its run folder."""
    import json

    from recbole_llmfashion.cli.train import main as train

    places = [f"--data_path={folder}", f"--checkpoint_dir={folder / 'saved'}", f"--output={folder / 'out'}"]
    given = ["--model=LLMFashionRec", "--dataset=shop", f"--config_files={arguments.config_files}", *places]
    if train([*given, "--show_progress=False"]):
        raise SystemExit("the main job failed")
    return Path(json.loads((folder / "out/results.json").read_text(encoding="utf-8"))["models"]["LLMFashionRec"]["run"])


def main() -> None:
    """Plants, trains, queries and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--canaries", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--config_files", default="properties/example/small.yaml")
    arguments = parser.parse_args()

    from recbole_llmfashion.cli.main import run as command
    from recbole_llmfashion.serving.recommender import Recommender

    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        size = ["--users", str(arguments.users), "--items", str(arguments.items), "--seed", str(arguments.seed)]
        if command(["simulate", "--category", CATEGORY, *size, "--out", str(folder / "shop")]):
            sys.exit(2)
        ids = read(folder / "shop/shop.item")["item_id:token"].tolist()
        planted, twins = (
            [Canary(invented(draw), draw.choice(ids)) for _ in range(arguments.canaries)] for _ in ("planted", "twins")
        )
        plant(folder / "shop", "shop", planted, draw)
        run = run_of(folder, arguments)
        print(f"{len(ids)} items: at most {exposure(1, len(ids)):.1f} bits\n")
        print("| min_askers | query | canaries | twins |\n|---:|---|---|---|")
        exact = {}
        for least in (1, 2):
            recommender = Recommender.from_pretrained(run, min_askers=least)
            ours, others = (ranks(recommender, group, len(ids)) for group in (planted, twins))
            for name in PROBES:
                print(f"| {least} | {name} | {cell(ours[name], len(ids))} | {cell(others[name], len(ids))} |")
            exact[least] = mean(exposure(rank, len(ids)) for rank in ours["exact query"])
    print(f"\nratio {exact[2] / exact[1]:.2f}")


if __name__ == "__main__":
    main()
