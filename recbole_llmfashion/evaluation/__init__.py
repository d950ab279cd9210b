"""Ranks and metrics of every model, the result table and significance tests."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.evaluation.collector import HeadCollector, RankCollector
    from recbole_llmfashion.evaluation.result import Result
    from recbole_llmfashion.evaluation.significance import compare_rows, metric_values
else:
    __getattr__ = lazy_names(
        __name__,
        {"collector": "HeadCollector RankCollector", "result": "Result", "significance": "compare_rows metric_values"},
    )

__all__ = ["HeadCollector", "RankCollector", "Result", "compare_rows", "metric_values"]
