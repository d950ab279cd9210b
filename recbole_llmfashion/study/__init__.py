"""Studies: the tables, figures and claims of the paper, one module per command."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.study.request import StudyRequest
    from recbole_llmfashion.study.runner import Entry, Outcome, Runner
else:
    __getattr__ = lazy_names(__name__, {"request": "StudyRequest", "runner": "Entry Outcome Runner"})

__all__ = ["Entry", "Outcome", "Runner", "StudyRequest"]
