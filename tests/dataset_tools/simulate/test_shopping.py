"""What is planted can be measured in the files: C1 to C4, position bias, tastes; and the small parts, by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.simulate.customers.intents import Intent, blank_intent
from recbole_llmfashion.dataset_tools.simulate.customers.journeys import Journeys
from recbole_llmfashion.dataset_tools.simulate.customers.queries import misspell
from recbole_llmfashion.dataset_tools.simulate.customers.seasons import (
    START_SECONDS,
    gift_chance,
    month_of_day,
)
from recbole_llmfashion.dataset_tools.simulate.customers.session import ShoppingSession
from recbole_llmfashion.dataset_tools.simulate.customers.users import Users, make_users
from recbole_llmfashion.dataset_tools.simulate.draws import draw, draw_rows, gumbel_argmax
from recbole_llmfashion.dataset_tools.simulate.readme import new_share
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue, make_catalogue
from recbole_llmfashion.dataset_tools.simulate.shop.search import BRAND_FACET, Shop
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


def test_c2_sequences_are_longer_and_clicks_walk_along_attributes(
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


def test_c3_the_month_moves_what_is_bought(footwear: AtomicFolder) -> None:
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
        said = footwear.searches["query"].str.contains(words)
        assert said[when.isin(high)].mean() > 3 * said[when.isin(low)].mean()


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


def test_purchases_match_the_hidden_taste_far_beyond_chance() -> None:
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


@pytest.fixture(scope="module")
def world() -> tuple[SimulatedCatalogue, Users]:
    rng = np.random.default_rng(11)
    catalogue = make_catalogue(CATEGORIES["footwear"], 4000, rng)
    return catalogue, make_users(CATEGORIES["footwear"], catalogue.brands, 400, rng)


def _plain_intent(users: int, segment: int) -> Intent:
    """Nothing in mind but the type."""
    intent = blank_intent(users)
    intent.segment[:] = segment
    for column in (intent.color, intent.feature, intent.brand, intent.size):
        column[:] = -1
    return intent


def test_position_is_looked_at_whatever_stands_there(world: tuple[SimulatedCatalogue, Users]) -> None:
    catalogue, users = world
    rng = np.random.default_rng(0)
    # pages in random order: rank carries no relevance, so what is left is the bias
    shown = np.stack([rng.permutation(4000)[:8] for _ in range(400)])
    walk = ShoppingSession(catalogue, users, _plain_intent(400, 0), np.full(400, 364))
    walk.look(np.arange(400), shown, rng)
    first = (shown == walk.clicks[:, :1]).argmax(axis=1)
    count = np.bincount(first, minlength=8)
    assert count[0] > 2.5 * count[4:].mean()
    seen = [row[row >= 0] for row in walk.clicks]
    assert all(len(set(row.tolist())) == len(row) for row in seen)  # nothing is clicked twice in a session


def test_fit_counts_color_brand_and_what_was_asked_for(world: tuple[SimulatedCatalogue, Users]) -> None:
    catalogue, users = world
    family = int(np.flatnonzero(catalogue.families.colors >= 2)[0])
    start = int(catalogue.families.start[family])
    items = np.array([[start, start + int(catalogue.families.sizes[family])]])  # same family, two colors
    one, two = catalogue.color[items[0]]
    users.colors[0, [one, two]] = [1.0, 0.0]
    intent = _plain_intent(400, int(catalogue.segment[start]))
    walk = ShoppingSession(catalogue, users, intent, np.full(400, 364))
    fit = walk.fit(np.array([0]), items)[0]
    assert fit[0] - fit[1] == pytest.approx(1.2)  # the favourite color, where none was asked for
    intent.color[0] = two
    fit = walk.fit(np.array([0]), items)[0]
    assert fit[0] - fit[1] == pytest.approx(-1.5)  # the wanted one outweighs it
    intent.gift[0], intent.color[0] = True, -1
    fit = walk.fit(np.array([0]), items)[0]
    assert fit[0] - fit[1] == pytest.approx(0.36)  # a gift: own taste counts for 0.3
    assert walk.fit(np.array([0]), np.array([[-1]]))[0, 0] == -np.inf


def test_some_purchases_make_a_favourite_brand(world: tuple[SimulatedCatalogue, Users]) -> None:
    catalogue, users = world
    own = replace(users, brands=np.full((400, 3), -7))
    rng = np.random.default_rng(4)
    Journeys(Shop(catalogue, rng), own, rng).run(1.0)
    grown = own.brands[:, 1] >= 0
    assert 0.1 < grown.mean() < 0.6
    assert (own.brands[:, [0, 2]] == -7).all()


def test_brand_loyalty_shows_in_the_files(footwear: AtomicFolder) -> None:
    rows = footwear.interactions.merge(footwear.items, on="item_id")
    bought = rows[rows["action"] == "purchase"].sort_values(["user_id", "timestamp"], kind="stable")
    again = (bought["user_id"] == bought["user_id"].shift()) & (bought["item_id"] != bought["item_id"].shift())
    other = bought["brand"].sample(frac=1, random_state=0).to_numpy() == bought["brand"].to_numpy()
    assert (bought["brand"] == bought["brand"].shift())[again].mean() > 1.5 * other.mean()


def test_shop_ranks_what_is_asked_for_among_what_is_on_sale() -> None:
    rng = np.random.default_rng(2)
    catalogue = make_catalogue(CATEGORIES["footwear"], 4000, rng)
    shop = Shop(catalogue, rng)
    segment = int(np.bincount(catalogue.segment).argmax())
    period = 13
    here = np.flatnonzero((catalogue.segment == segment) & (catalogue.arrival <= period * 14))
    here = here[period * 14 - catalogue.arrival[here] < 320]
    brand = catalogue.families.brand[catalogue.family]
    wanted = int(np.bincount(brand[here]).argmax())

    def page(color: int, facet: int) -> np.ndarray:
        request = (np.array([value]) for value in (segment, color, facet, period, -1))
        items = shop.page(*request, rng)[0]
        return items[items >= 0]

    plain, asked = page(-1, 0), page(-1, BRAND_FACET + wanted)
    assert len(plain) == 8
    assert len(set(plain.tolist())) == 8
    assert set(plain.tolist()) <= set(here.tolist())
    assert (brand[asked] == wanted).mean() > (brand[plain] == wanted).mean()
    black = page(0, 0)
    assert (catalogue.color[black] == 0).mean() > (catalogue.color[here] == 0).mean() + 0.3
    popular = catalogue.log_popularity[here]
    assert catalogue.log_popularity[plain].mean() > popular.mean() + popular.std()


def test_calendar() -> None:
    month = month_of_day()
    assert START_SECONDS == 1_693_526_400  # 2023-09-01 00:00 UTC
    assert month[[0, 30, 121, 122, 364]].tolist() == [8, 9, 11, 0, 7]  # day 181 is 29 February
    assert month[181] == 1
    chance = gift_chance(1.0)
    assert chance[[0, 79, 80, 113, 114]] == pytest.approx([0.03, 0.03, 0.4, 0.4, 0.03])  # 20 November to 23 December


def test_draws() -> None:
    rng = np.random.default_rng(0)
    assert draw_rows(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.1]]), rng).tolist() == [1, -1, 2]
    counts = np.bincount(draw_rows(np.tile([1.0, 0.0, 3.0], (4000, 1)), rng), minlength=3)
    assert counts[1] == 0
    assert counts[2] / 4000 == pytest.approx(0.75, abs=0.03)
    assert np.bincount(draw(np.array([1.0, 0.0, 3.0]), 4000, rng), minlength=3)[2] / 4000 == pytest.approx(
        0.75, abs=0.03
    )
    assert gumbel_argmax(np.array([[-np.inf, -9.0], [-np.inf, -np.inf]]), 1.0, rng).tolist() == [1, -1]


@pytest.mark.parametrize(("how", "expected"), [(0.0, "red sohes"), (0.4, "red soes"), (0.9, "red shhoes")])
def test_misspell(how: float, expected: str) -> None:
    assert misspell("red shoes", 0.5, 0.0, how) == expected
    assert misspell("red hat", 0.5, 0.0, how) == "red hat"
