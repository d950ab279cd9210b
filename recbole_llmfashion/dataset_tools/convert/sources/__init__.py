"""One module per source format."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.convert.sources.amazon import Amazon2023
    from recbole_llmfashion.dataset_tools.convert.sources.hm import HM
    from recbole_llmfashion.dataset_tools.convert.sources.hm_queries import HMQueries
    from recbole_llmfashion.dataset_tools.convert.sources.recbole import Fields, RecBoleDataset
    from recbole_llmfashion.dataset_tools.convert.sources.table import TableColumns, convert_table
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "amazon": "Amazon2023",
            "hm": "HM",
            "hm_queries": "HMQueries",
            "recbole": "Fields RecBoleDataset",
            "table": "TableColumns convert_table",
        },
    )

__all__ = ["HM", "Amazon2023", "Fields", "HMQueries", "RecBoleDataset", "TableColumns", "convert_table"]
