"""Sequences without times, as research on generative recommendation publishes them."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.convert.sources.sequences.sequence_files import SequenceFiles
    from recbole_llmfashion.dataset_tools.convert.sources.sequences.windows import Windows
else:
    __getattr__ = lazy_names(__name__, {"sequence_files": "SequenceFiles", "windows": "Windows"})

__all__ = ["SequenceFiles", "Windows"]
