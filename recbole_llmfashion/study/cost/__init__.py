"""The cost study: what accuracy costs in tokens, time, memory and energy, and which settings give the most of it."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.study.cost.document import cost
    from recbole_llmfashion.study.cost.front import Point, pareto_front
    from recbole_llmfashion.study.cost.measure import Cost
else:
    __getattr__ = lazy_names(__name__, {"document": "cost", "front": "Point pareto_front", "measure": "Cost"})

__all__ = ["Cost", "Point", "cost", "pareto_front"]
