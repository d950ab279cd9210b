"""Readers of large CSV and JSON-lines files, which count the lines that cannot be used."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
    from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import read_blocks
    from recbole_llmfashion.dataset_tools.convert.readers.json_lines import read_json_lines
    from recbole_llmfashion.dataset_tools.convert.readers.text_lines import read_lines
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "bad_lines": "BrokenLines",
            "csv_stream": "read_blocks",
            "json_lines": "read_json_lines",
            "text_lines": "read_lines",
        },
    )

__all__ = ["BrokenLines", "read_blocks", "read_json_lines", "read_lines"]
