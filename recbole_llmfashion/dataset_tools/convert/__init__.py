"""Converts public logs and own tables into clean datasets; sources/ has one module per format."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, LogSource, convert_source
    from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries
else:
    __getattr__ = lazy_names(
        __name__, {"convert": "ConvertSettings LogSource convert_source", "finish": "DerivedQueries"}
    )

__all__ = ["ConvertSettings", "DerivedQueries", "LogSource", "convert_source"]
