"""The commands that measure a run and write a page about it."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.cli.reports.audit import register_audit
else:
    __getattr__ = lazy_names(__name__, {"audit": "register_audit"})

__all__ = ["register_audit"]
