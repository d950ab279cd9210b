"""Checks of what a run folder holds.

A signature says that a file is the one that was written, not that it was written well. Every check is made when a run
is loaded, so that no wrong entry is found by the first customer; each error names the file and the part of it.
"""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.pipeline.checks.entries import Entries
    from recbole_llmfashion.pipeline.checks.manifest_entries import check_manifest
else:
    __getattr__ = lazy_names(__name__, {"entries": "Entries", "manifest_entries": "check_manifest"})

__all__ = ["Entries", "check_manifest"]
