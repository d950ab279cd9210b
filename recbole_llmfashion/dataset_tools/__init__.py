"""Tools that create and check datasets: convert, simulate, validate, clean. Only the command line imports them."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.clean import CleanCounts
    from recbole_llmfashion.dataset_tools.statistics import Statistics, measure
    from recbole_llmfashion.dataset_tools.validate import Validation
else:
    __getattr__ = lazy_names(
        __name__, {"clean": "CleanCounts", "statistics": "Statistics measure", "validate": "Validation"}
    )

__all__ = ["CleanCounts", "Statistics", "Validation", "measure"]
