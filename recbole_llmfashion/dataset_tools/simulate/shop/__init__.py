"""Simulated products: brands, titles, and the search of the shop."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.simulate.shop.brands import Brands, make_brands
    from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue, make_catalogue
    from recbole_llmfashion.dataset_tools.simulate.shop.search import Shop
else:
    __getattr__ = lazy_names(
        __name__, {"brands": "Brands make_brands", "catalogue": "SimulatedCatalogue make_catalogue", "search": "Shop"}
    )

__all__ = ["Brands", "Shop", "SimulatedCatalogue", "make_brands", "make_catalogue"]
