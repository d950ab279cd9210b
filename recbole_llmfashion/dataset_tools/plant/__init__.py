"""Canaries in a copy of a dataset, for `recbole-llmfashion audit`."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.plant.planting import PlantSettings, plant
else:
    __getattr__ = lazy_names(__name__, {"planting": "PlantSettings plant"})

__all__ = ["PlantSettings", "plant"]
