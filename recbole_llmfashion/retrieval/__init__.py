"""Stage 3 of the paper: ranks the catalogue for a generated item id and title."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.retrieval.fusion_weights import Candidates
    from recbole_llmfashion.retrieval.item_order import ConstantOrder, HeadThenRest, ItemOrder, PerRowOrder
    from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable
    from recbole_llmfashion.retrieval.lists.id_list import IdentityList, IdList, SessionList
    from recbole_llmfashion.retrieval.lists.title_list import TitleList
    from recbole_llmfashion.retrieval.rankers import Rankers
    from recbole_llmfashion.retrieval.ranking import RankedBatch, RankingSettings, RowContext
    from recbole_llmfashion.retrieval.scored_order import ScoredOrder
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "lists.cosine_table": "CosineTable",
            "fusion_weights": "Candidates",
            "lists.id_list": "IdList IdentityList SessionList",
            "item_order": "ConstantOrder HeadThenRest ItemOrder PerRowOrder",
            "rankers": "Rankers",
            "ranking": "RankedBatch RankingSettings RowContext",
            "scored_order": "ScoredOrder",
            "lists.title_list": "TitleList",
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
