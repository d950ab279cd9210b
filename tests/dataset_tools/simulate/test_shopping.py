"""The simulated characteristics can be measured in the files: C1 to C4, position bias, tastes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.simulate.customers.journeys import Journeys
from recbole_llmfashion.dataset_tools.simulate.customers.users import make_users
from recbole_llmfashion.dataset_tools.simulate.readme import new_share
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import make_catalogue
from recbole_llmfashion.dataset_tools.simulate.shop.search import Shop
from recbole_llmfashion.dataset_tools.simulate.simulation import (
    CATEGORIES,
    SimulationSettings,
    simulate_category,
)
from recbole_llmfashion.dataset_tools.statistics import measure

USERS = 700


@pytest.fixture(scope="module")
def footwear() -> AtomicFolder:
    return simulate_category(SimulationSettings("footwear", USERS, 5), Path("sim/footwear"))


@pytest.fixture(scope="module")
def contrasts() -> dict[str, AtomicFolder]:
    return {
        name: simulate_category(SimulationSettings(name, USERS, 5), Path("sim") / name)
        for name in ("electronics", "toys")
    }


def test_c1_new_items_beside_the_contrasts(footwear: AtomicFolder, contrasts: dict[str, AtomicFolder]) -> None:
    fashion = new_share(footwear)
    assert fashion / new_share(contrasts["electronics"]) == pytest.approx(3.6, rel=0.2)
    assert fashion / new_share(contrasts["toys"]) == pytest.approx(6.7, rel=0.2)


def test_c1_items_fade(footwear: AtomicFolder, contrasts: dict[str, AtomicFolder]) -> None:
    def median_age(folder: AtomicFolder) -> float:
        arrival = folder.items.set_index("item_id")["available_from"]
        actions = folder.interactions
        return float((actions["timestamp"] - actions["item_id"].map(arrival)).median() / 86_400)

    assert median_age(footwear) < 100 < median_age(contrasts["electronics"])


def test_c2_sequences_are_longer_and_clicks_follow_attributes(
    footwear: AtomicFolder, contrasts: dict[str, AtomicFolder]
) -> None:
    fashion = np.average(
        [c.mean_length for c in list(CATEGORIES.values())[:4]], weights=[10_611, 63_273, 106_104, 274_285]
    )
    assert fashion / measure(contrasts["electronics"]).mean_length == pytest.approx(1.55, rel=0.05)
    assert fashion / measure(contrasts["toys"]).mean_length == pytest.approx(1.81, rel=0.05)

    rows = footwear.interactions.merge(footwear.items, on="item_id")
    clicks = rows[rows["action"] == "click"].sort_values(["user_id", "timestamp"], kind="stable")
    before = clicks.shift()
    together = (clicks["user_id"] == before["user_id"]) & (clicks["timestamp"] - before["timestamp"] < 300)
    same_type = clicks["category"] == before["category"]
    assert same_type[together].mean() > 0.99

    def same_family_other_color(first: pd.DataFrame, second: pd.DataFrame) -> pd.Series:
        near = (first["price"] / second["price"] - 1).abs() < 0.06
        return near & (first["brand"] == second["brand"]) & (first["color"] != second["color"])

    walk = same_type & same_family_other_color(clicks, before)
    shuffled = clicks.groupby("category").sample(frac=1, random_state=0)
    chance = same_family_other_color(shuffled, shuffled.shift())
    assert walk[together].mean() > 2 * chance.mean()


def test_c3_purchases_depend_on_the_month(footwear: AtomicFolder) -> None:
    rows = footwear.interactions.merge(footwear.items, on="item_id")
    month = pd.to_datetime(rows["timestamp"], unit="s").dt.month

    def share(kind: str, months: list[int]) -> float:
        return float(rows["category"].str.endswith(kind)[month.isin(months)].mean())

    assert share("Snow Boots", [12, 1]) > 4 * share("Snow Boots", [6, 7]) + 0.02
    assert share("Sandals", [6, 7]) > 4 * share("Sandals", [12, 1]) + 0.02
    when = pd.to_datetime(footwear.searches["timestamp"], unit="s").dt.month
    for words, high, low in (
        ("gift|present", [12], [3, 4, 8, 9]),
        ("christmas|xmas|holiday", [11, 12], [3, 4, 5, 6]),
        ("school|college", [8, 9], [3, 4, 5]),
        ("wedding|bridal|bridesmaid", [5, 6], [11, 12]),
    ):
        named = footwear.searches["query"].str.contains(words)
        assert named[when.isin(high)].mean() > 3 * named[when.isin(low)].mean()


def test_c4_queries_are_more_diverse_than_the_contrasts(
    footwear: AtomicFolder, contrasts: dict[str, AtomicFolder]
) -> None:
    fashion = measure(footwear)
    for name, factor in (("electronics", 2.63), ("toys", 2.38)):
        other = measure(contrasts[name])
        assert fashion.unique_queries / fashion.searches > 1.5 * other.unique_queries / other.searches
        assert fashion.unique_queries / other.unique_queries == pytest.approx(factor, rel=0.25)


def test_purchases_fall_with_the_position(footwear: AtomicFolder) -> None:
    bought = footwear.interactions[footwear.interactions["action"] == "purchase"].sort_values("timestamp")
    pages = footwear.searches.sort_values("timestamp")
    found = pd.merge_asof(bought, pages, on="timestamp", by="user_id", tolerance=86_400).dropna(subset=["results"])
    place = [
        page.split().index(i) if i in page.split() else -1
        for i, page in zip(found["item_id"], found["results"], strict=True)
    ]
    count = np.bincount(np.array(place) + 1, minlength=9)[1:]
    assert count.sum() > 0.5 * len(found)  # most purchases come from the page
    assert count[0] > 2 * count[4:].mean()
    assert np.corrcoef(np.arange(8), count)[0, 1] < -0.8


def test_purchases_match_the_tastes() -> None:
    category = CATEGORIES["footwear"]
    rng = np.random.default_rng(11)
    catalogue = make_catalogue(category, 4000, rng)
    users = make_users(category, catalogue.brands, 800, rng)
    log = Journeys(Shop(catalogue, rng), users, rng).run(3.0)
    user, item = log.action_user[log.purchase], log.item[log.purchase]
    brand = catalogue.families.brand[catalogue.family]

    def agreement(user: np.ndarray) -> tuple[float, float, float]:
        favourite = users.colors[user, catalogue.color[item]] == 1
        liked = (brand[item][:, None] == users.brands[user]).any(axis=1)
        return (
            favourite.mean(),
            liked.mean(),
            (users.sizes[user, catalogue.segment[item]] == catalogue.size[item]).mean(),
        )

    color, liked, size = agreement(user)
    other_color, other_liked, other_size = agreement(rng.permutation(user))
    assert color > 1.8 * other_color
    assert liked > 1.5 * other_liked
    assert size > 2.5 * other_size


def test_brand_loyalty(footwear: AtomicFolder) -> None:
    rows = footwear.interactions.merge(footwear.items, on="item_id")
    bought = rows[rows["action"] == "purchase"].sort_values(["user_id", "timestamp"], kind="stable")
    again = (bought["user_id"] == bought["user_id"].shift()) & (bought["item_id"] != bought["item_id"].shift())
    other = bought["brand"].sample(frac=1, random_state=0).to_numpy() == bought["brand"].to_numpy()
    assert (bought["brand"] == bought["brand"].shift())[again].mean() > 1.5 * other.mean()
