"""The ranked lists, one source each."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.retrieval.lists.common_users import CommonUsers
    from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable
    from recbole_llmfashion.retrieval.lists.dot_table import DotTable
    from recbole_llmfashion.retrieval.lists.id_list import IdentityList, IdList, SessionList
    from recbole_llmfashion.retrieval.lists.id_model import IdModel
    from recbole_llmfashion.retrieval.lists.image_list import ImageList
    from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
    from recbole_llmfashion.retrieval.lists.popularity_list import popular_order
    from recbole_llmfashion.retrieval.lists.sequence_list import EncoderSettings, SequenceEncoder, SequenceList
    from recbole_llmfashion.retrieval.lists.title_list import TitleList
    from recbole_llmfashion.retrieval.lists.word_list import WordList
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "common_users": "CommonUsers",
            "cosine_table": "CosineTable",
            "dot_table": "DotTable",
            "id_list": "IdList IdentityList SessionList",
            "id_model": "IdModel",
            "image_list": "ImageList",
            "neighbor_list": "NeighborList",
            "popularity_list": "popular_order",
            "sequence_list": "EncoderSettings SequenceEncoder SequenceList",
            "title_list": "TitleList",
            "word_list": "WordList",
        },
    )

__all__ = [
    "CommonUsers",
    "CosineTable",
    "DotTable",
    "EncoderSettings",
    "IdList",
    "IdModel",
    "IdentityList",
    "ImageList",
    "NeighborList",
    "SequenceEncoder",
    "SequenceList",
    "SessionList",
    "TitleList",
    "WordList",
    "popular_order",
]
