from recbole_llmfashion.dataset_tools.simulate.shop.words import AUDIENCES, OCCASIONS, SEASONS, SIZES
from recbole_llmfashion.dataset_tools.simulate.simulation import (
    CATEGORIES,
)


def test_tables_are_consistent() -> None:
    for category in CATEGORIES.values():
        names = {kind.name for kind in category.types}
        audiences = {audience for audience, _ in category.audiences}
        assert audiences <= set(AUDIENCES)
        assert len(names) == len(category.types)
        for kind in category.types:
            assert kind.season in SEASONS
            assert set(kind.occasions) <= set(OCCASIONS)
            assert kind.sizes in SIZES
            assert kind.companion in names | {""}
            assert not kind.audiences or set(kind.audiences) & audiences
            assert len(set(kind.features)) >= 2
            assert len(kind.features) <= 8  # the shop numbers features below its brands
