import numpy as np

from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import make_catalogue
from recbole_llmfashion.dataset_tools.simulate.shop.search import BRAND_FACET, Shop
from recbole_llmfashion.dataset_tools.simulate.simulation import (
    CATEGORIES,
)


def test_page() -> None:
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

    plain, of_brand = page(-1, 0), page(-1, BRAND_FACET + wanted)
    assert len(plain) == 8
    assert len(set(plain.tolist())) == 8
    assert set(plain.tolist()) <= set(here.tolist())
    assert (brand[of_brand] == wanted).mean() > (brand[plain] == wanted).mean()
    black = page(0, 0)
    assert (catalogue.color[black] == 0).mean() > (catalogue.color[here] == 0).mean() + 0.3
    popular = catalogue.log_popularity[here]
    assert catalogue.log_popularity[plain].mean() > popular.mean() + popular.std()
