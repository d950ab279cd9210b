"""Stage 3 of the paper: ranks the catalogue for a generated item id and title."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.retrieval.cosine_table import CosineTable
    from recbole_llmfashion.retrieval.fusion import Candidates
    from recbole_llmfashion.retrieval.id_list import IdentityList, IdList, SessionList
    from recbole_llmfashion.retrieval.item_order import ConstantOrder, HeadThenRest, ItemOrder, PerRowOrder
    from recbole_llmfashion.retrieval.rankers import Rankers
    from recbole_llmfashion.retrieval.ranking import RankedBatch, RankingSettings, RowContext
    from recbole_llmfashion.retrieval.scored_order import ScoredOrder
    from recbole_llmfashion.retrieval.title_list import TitleList
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "cosine_table": "CosineTable",
            "fusion": "Candidates",
            "id_list": "IdList IdentityList SessionList",
            "item_order": "ConstantOrder HeadThenRest ItemOrder PerRowOrder",
            "rankers": "Rankers",
            "ranking": "RankedBatch RankingSettings RowContext",
            "scored_order": "ScoredOrder",
            "title_list": "TitleList",
        },
    )

__all__ = [
    "Candidates",
    "ConstantOrder",
    "CosineTable",
    "HeadThenRest",
    "IdList",
    "IdentityList",
    "ItemOrder",
    "PerRowOrder",
    "RankedBatch",
    "Rankers",
    "RankingSettings",
    "RowContext",
    "ScoredOrder",
    "SessionList",
    "TitleList",
]
