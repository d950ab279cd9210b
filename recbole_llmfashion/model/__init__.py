"""RecBole models, one per file."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.model.fusion import Fusion
    from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
    from recbole_llmfashion.model.popularity import Popularity
    from recbole_llmfashion.model.query_memory import QueryMemory
    from recbole_llmfashion.model.recformer.model import Recformer, RecformerQuery
    from recbole_llmfashion.model.sasrec_sampled import SASRecSampled
    from recbole_llmfashion.model.seq_knn import SeqKNN
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "fusion": "Fusion",
            "llmfashionrec": "LLMFashionRec",
            "popularity": "Popularity",
            "query_memory": "QueryMemory",
            "recformer.model": "Recformer RecformerQuery",
            "sasrec_sampled": "SASRecSampled",
            "seq_knn": "SeqKNN",
        },
    )

__all__ = [
    "Fusion",
    "LLMFashionRec",
    "Popularity",
    "QueryMemory",
    "Recformer",
    "RecformerQuery",
    "SASRecSampled",
    "SeqKNN",
]
