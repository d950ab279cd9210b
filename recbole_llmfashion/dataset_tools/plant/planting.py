"""Plants canaries in a copy of a dataset, and takes some customers out of it.

A customer gets at most one canary: a search for its query and a click on its product, between the customer's first two
item actions that the click filter keeps; in a dataset without searches, purchases of two invented products. With at
least three further such actions both belong to training rows. The customers taken out are members of no training row: a
model that tells them from the others has memorised (docs/privacy.md).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.canaries import Canary, Planted
from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.split import after_papers_filter
from recbole_llmfashion.dataset_tools.plant.invent import Inventor
from recbole_llmfashion.errors import UserError

LEAST_ACTIONS = 5  # after the click filter, of a customer who gets a canary
HELD_OUT = "_held_out"  # behind the name of the dataset

_Row = Mapping[str, object]


@dataclass(frozen=True)
class PlantSettings:
    """What to plant.

    Args:
        counts: customers of a canary, for each kind of canary.
        canaries: canaries of each count.
        candidates: invented products and queries that are in no row, among which a canary is ranked.
        left_out: customers to take out.
        seed: equal seeds give equal files.

    Raises:
        UserError: a value out of range.
    """

    counts: tuple[int, ...] = (1, 2, 5, 10)
    canaries: int = 8
    candidates: int = 128
    left_out: int = 200
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) < 1 or len(set(self.counts)) < len(self.counts):
            raise UserError(f"--counts: expected different numbers of 1 or more, found {self.counts}")
        for name, least in (("canaries", 1), ("candidates", 1), ("left_out", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name}: expected {least} or more, found {getattr(self, name)}")


def plant(folder: AtomicFolder, out: Path, settings: PlantSettings) -> tuple[AtomicFolder, AtomicFolder, Planted]:
    """The dataset with canaries, the customers taken out, and the list of the canaries.

    Args:
        folder: a clean dataset.
        out: the folder of the copy, whose name is the dataset's; the other customers get one beside it.

    Raises:
        UserError: too few customers.
    """
    draw = random.Random(settings.seed)
    users = list(dict.fromkeys(folder.interactions["user_id"]))
    if settings.left_out > len(users) // 2:
        raise UserError(
            f"--left_out: {settings.left_out} of {len(users)} customers are more than half; leave out fewer"
        )
    fresh = set(draw.sample(users, settings.left_out))
    kept = _of(folder, set(users) - fresh)
    groups = [count for count in (0, *settings.counts) for _ in range(settings.canaries)]
    invented, products = _invent(folder, draw, [*groups, *[0] * settings.candidates])
    name = out.resolve().name
    beside = f"{name}{HELD_OUT}" if fresh else ""
    planted = Planted(invented[: len(groups)], invented[len(groups) :], beside, settings.seed)
    items = _with_products(folder, draw, products)
    rows = _rows(kept, planted.canaries, draw)
    copy = replace(_with_rows(kept, *rows), items=items, name=name, path=out)
    others = replace(_of(folder, fresh), items=items, name=beside, path=out.resolve().parent / beside)
    return copy, others, planted


def _of(folder: AtomicFolder, users: set[str]) -> AtomicFolder:
    """The rows of some customers."""
    actions, searches = (
        frame[frame["user_id"].isin(users)].reset_index(drop=True) for frame in (folder.interactions, folder.searches)
    )
    return replace(folder, interactions=actions, searches=searches)


def _invent(
    folder: AtomicFolder, draw: random.Random, counts: Sequence[int]
) -> tuple[list[Canary], list[tuple[str, str]]]:
    """A canary for each count, and the ids and titles of all products that they need."""
    texts = [*folder.searches["query"].unique(), *folder.items["title"]]
    words = {word for text in texts for word in text.lower().split()}
    inventor = Inventor(draw, words, folder.items["item_id"].tolist())
    if not folder.searches.empty:
        queries = [Canary(inventor.words(), inventor.item_id(), inventor.words().title(), count) for count in counts]
        return queries, [(one.item, one.title) for one in queries]
    products = [(inventor.item_id(), inventor.words().title()) for _ in range(2 * len(counts))]
    firsts, seconds = products[::2], products[1::2]
    pairs = [
        Canary("", item, title, count, before)
        for (before, _), (item, title), count in zip(firsts, seconds, counts, strict=True)
    ]
    return pairs, products


def _with_products(folder: AtomicFolder, draw: random.Random, products: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The catalogue with the invented products at random places; attributes are those of other products."""
    items = folder.items
    like = items.iloc[[draw.randrange(len(items)) for _ in products]].reset_index(drop=True)
    names = {"item_id": [item for item, _ in products], "title": [title for _, title in products]}
    every = pd.concat([items, like.assign(**names)], ignore_index=True)
    order = list(range(len(every)))
    draw.shuffle(order)  # the last rows would tell which products are invented
    return every.iloc[order].reset_index(drop=True)


def _rows(folder: AtomicFolder, canaries: Sequence[Canary], draw: random.Random) -> tuple[list[_Row], list[_Row]]:
    """The item actions and the searches to add."""
    kept = folder.interactions[after_papers_filter(folder.interactions)]  # a canary before all others is no target
    times = {str(user): at.tolist() for user, at in kept.groupby("user_id", sort=False)["timestamp"]}
    able = [user for user, at in times.items() if len(at) >= LEAST_ACTIONS and at[1] > at[0]]
    wanted = [canary for canary in canaries for _ in range(canary.count)]
    if len(able) < len(wanted):
        raise UserError(
            f"--canaries_per_count: {len(wanted)} customers are needed, and {len(able)} have {LEAST_ACTIONS} or more "
            "item actions after the click filter and time between the first two; plant fewer canaries or smaller counts"
        )
    actions: list[_Row] = []
    searches: list[_Row] = []
    for user, canary in zip(draw.sample(able, len(wanted)), wanted, strict=True):
        first, second = times[user][:2]
        at = first + (second - first) / 3, first + 2 * (second - first) / 3
        if second - first >= 3:  # whole seconds, as the other times of a shop's log are
            at = first + 1, first + 2
        actions += _actions(canary, user, at)
        if canary.query:
            searches.append({"user_id": user, "timestamp": at[0], "query": canary.query, "results": canary.item})
    return actions, searches


def _actions(canary: Canary, user: str, at: Sequence[float]) -> Iterator[_Row]:
    if canary.query:
        yield {"user_id": user, "timestamp": at[1], "item_id": canary.item, "action": "click"}
        return
    for item, time in zip((canary.before, canary.item), at, strict=True):
        yield {"user_id": user, "timestamp": time, "item_id": item, "action": "purchase"}


def _with_rows(folder: AtomicFolder, actions: Sequence[_Row], searches: Sequence[_Row]) -> AtomicFolder:
    """The dataset with further rows, each in its place."""
    order = {user: place for place, user in enumerate(dict.fromkeys(folder.interactions["user_id"]))}
    interactions = _inserted(folder.interactions, actions, order)
    return replace(folder, interactions=interactions, searches=_inserted(folder.searches, searches, order))


def _inserted(frame: pd.DataFrame, rows: Sequence[_Row], order: Mapping[str, int]) -> pd.DataFrame:
    """A frame with further rows, by user and time."""
    every = pd.concat([frame, pd.DataFrame(list(rows), columns=frame.columns)], ignore_index=True)
    keys = every.assign(place=every["user_id"].map(order))
    # stable, so actions of the same time stay in their order
    places = keys.sort_values(["place", "timestamp"], kind="stable").index
    return every.loc[places].astype({"timestamp": float}).reset_index(drop=True)
