"""The measures of an audit, one module each; each is a function of a loaded run and of texts."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.study.audit.measures.contents import Counts, Held
    from recbole_llmfashion.study.audit.measures.extraction import Share
    from recbole_llmfashion.study.audit.measures.membership import Auc
    from recbole_llmfashion.study.audit.measures.modes import Exposures
else:
    __getattr__ = lazy_names(
        __name__,
        {"contents": "Counts Held", "extraction": "Share", "membership": "Auc", "modes": "Exposures"},
    )

__all__ = ["Auc", "Counts", "Exposures", "Held", "Share"]
