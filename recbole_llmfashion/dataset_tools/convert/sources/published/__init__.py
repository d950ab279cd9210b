"""Logs that research publishes, one module per source."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.convert.sources.published.clothing_fit import ClothingFit
    from recbole_llmfashion.dataset_tools.convert.sources.published.diginetica import Diginetica, DigineticaFiles
    from recbole_llmfashion.dataset_tools.convert.sources.published.kuaisar import KuaiSAR
    from recbole_llmfashion.dataset_tools.convert.sources.published.kuaisearch import KuaiSearch
    from recbole_llmfashion.dataset_tools.convert.sources.published.retailrocket import RetailRocket
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "clothing_fit": "ClothingFit",
            "diginetica": "Diginetica DigineticaFiles",
            "kuaisar": "KuaiSAR",
            "kuaisearch": "KuaiSearch",
            "retailrocket": "RetailRocket",
        },
    )

__all__ = ["ClothingFit", "Diginetica", "DigineticaFiles", "KuaiSAR", "KuaiSearch", "RetailRocket"]
