"""Section 3 of the paper for any folder of atomic files: Table 1 and the fashion characteristics C1 to C4."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.study.analysis.counts import DatasetCounts
    from recbole_llmfashion.study.analysis.measure import Measured
else:
    __getattr__ = lazy_names(__name__, {"counts": "DatasetCounts", "measure": "Measured"})

__all__ = ["DatasetCounts", "Measured"]
