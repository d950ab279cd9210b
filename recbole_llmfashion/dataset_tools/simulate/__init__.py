"""A simulated shop with the four characteristics of the paper's section 3, written as atomic files."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.simulate.simulation import CATEGORIES, SimulationSettings, simulate_category
else:
    __getattr__ = lazy_names(__name__, {"simulation": "CATEGORIES SimulationSettings simulate_category"})

__all__ = ["CATEGORIES", "SimulationSettings", "simulate_category"]
