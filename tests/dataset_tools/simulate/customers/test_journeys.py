from dataclasses import replace

import numpy as np
import pytest

from recbole_llmfashion.dataset_tools.simulate.customers.journeys import Journeys
from recbole_llmfashion.dataset_tools.simulate.customers.users import Users, make_users
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue, make_catalogue
from recbole_llmfashion.dataset_tools.simulate.shop.search import Shop
from recbole_llmfashion.dataset_tools.simulate.simulation import (
    CATEGORIES,
)


@pytest.fixture(scope="module")
def world() -> tuple[SimulatedCatalogue, Users]:
    rng = np.random.default_rng(11)
    catalogue = make_catalogue(CATEGORIES["footwear"], 4000, rng)
    return catalogue, make_users(CATEGORIES["footwear"], catalogue.brands, 400, rng)


def test_purchases_change_favourite_brands(world: tuple[SimulatedCatalogue, Users]) -> None:
    catalogue, users = world
    own = replace(users, brands=np.full((400, 3), -7))
    rng = np.random.default_rng(4)
    Journeys(Shop(catalogue, rng), own, rng).run(1.0)
    grown = own.brands[:, 1] >= 0
    assert 0.1 < grown.mean() < 0.6
    assert (own.brands[:, [0, 2]] == -7).all()
