import numpy as np
import pytest

from recbole_llmfashion.dataset_tools.simulate.customers.intents import Intent, blank_intent
from recbole_llmfashion.dataset_tools.simulate.customers.session import ShoppingSession
from recbole_llmfashion.dataset_tools.simulate.customers.users import Users, make_users
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue, make_catalogue
from recbole_llmfashion.dataset_tools.simulate.simulation import (
    CATEGORIES,
)


@pytest.fixture(scope="module")
def world() -> tuple[SimulatedCatalogue, Users]:
    rng = np.random.default_rng(11)
    catalogue = make_catalogue(CATEGORIES["footwear"], 4000, rng)
    return catalogue, make_users(CATEGORIES["footwear"], catalogue.brands, 400, rng)


def _plain_intent(users: int, segment: int) -> Intent:
    """Intents with a type only."""
    intent = blank_intent(users)
    intent.segment[:] = segment
    for column in (intent.color, intent.feature, intent.brand, intent.size):
        column[:] = -1
    return intent


def test_clicks_fall_with_the_position(world: tuple[SimulatedCatalogue, Users]) -> None:
    catalogue, users = world
    rng = np.random.default_rng(0)
    # pages in random order: the position is independent of relevance
    shown = np.stack([rng.permutation(4000)[:8] for _ in range(400)])
    walk = ShoppingSession(catalogue, users, _plain_intent(400, 0), np.full(400, 364))
    walk.look(np.arange(400), shown, rng)
    first = (shown == walk.clicks[:, :1]).argmax(axis=1)
    count = np.bincount(first, minlength=8)
    assert count[0] > 2.5 * count[4:].mean()
    seen = [row[row >= 0] for row in walk.clicks]
    assert all(len(set(row.tolist())) == len(row) for row in seen)  # nothing is clicked twice in a session


def test_fit(world: tuple[SimulatedCatalogue, Users]) -> None:
    catalogue, users = world
    family = int(np.flatnonzero(catalogue.families.colors >= 2)[0])
    start = int(catalogue.families.start[family])
    items = np.array([[start, start + int(catalogue.families.sizes[family])]])  # same family, two colors
    one, two = catalogue.color[items[0]]
    users.colors[0, [one, two]] = [1.0, 0.0]
    intent = _plain_intent(400, int(catalogue.segment[start]))
    walk = ShoppingSession(catalogue, users, intent, np.full(400, 364))
    fit = walk.fit(np.array([0]), items)[0]
    assert fit[0] - fit[1] == pytest.approx(1.2)  # the favourite color, if no color is wanted
    intent.color[0] = two
    fit = walk.fit(np.array([0]), items)[0]
    assert fit[0] - fit[1] == pytest.approx(-1.5)  # the wanted one outweighs it
    intent.gift[0], intent.color[0] = True, -1
    fit = walk.fit(np.array([0]), items)[0]
    assert fit[0] - fit[1] == pytest.approx(0.36)  # a gift: own taste counts for 0.3
    assert walk.fit(np.array([0]), np.array([[-1]]))[0, 0] == -np.inf
