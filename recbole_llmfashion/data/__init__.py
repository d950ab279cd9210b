"""Datasets: atomic files, the train/valid/test split, users' timelines and RecBole's loaders over them."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.data.catalogue import Catalogue
    from recbole_llmfashion.data.dataset import LLMFashionRecDataset
    from recbole_llmfashion.data.loaders import Loaders, make_loaders
    from recbole_llmfashion.data.location import find_dataset
    from recbole_llmfashion.data.search_log import SearchLog
    from recbole_llmfashion.data.timeline import Events, Timeline
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "catalogue": "Catalogue",
            "dataset": "LLMFashionRecDataset",
            "loaders": "Loaders make_loaders",
            "location": "find_dataset",
            "search_log": "SearchLog",
            "timeline": "Events Timeline",
        },
    )

__all__ = [
    "Catalogue",
    "Events",
    "LLMFashionRecDataset",
    "Loaders",
    "SearchLog",
    "Timeline",
    "find_dataset",
    "make_loaders",
]
