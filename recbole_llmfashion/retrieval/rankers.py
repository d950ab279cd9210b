"""The rankers of one set of items: what turns IDs, titles and sessions into ranked lists (paper, section 4.4).

`make_rankers` is the only place that builds them, so that the evaluation, the recommender and every change of the items
rank by the same code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from recbole_llmfashion.retrieval.item_order import ConstantOrder, ItemOrder
from recbole_llmfashion.retrieval.lists.cosine_table import Near
from recbole_llmfashion.retrieval.lists.id_list import IdentityList, IdList
from recbole_llmfashion.retrieval.lists.image_list import ImageList
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
from recbole_llmfashion.retrieval.lists.popularity_list import popular_order
from recbole_llmfashion.retrieval.lists.sequence_list import SequenceEncoder, SequenceList
from recbole_llmfashion.retrieval.lists.title_list import TitleList
from recbole_llmfashion.retrieval.lists.word_list import WordList

PositionRanker = Callable[[Tensor], ItemOrder]  # of item positions
TextRanker = Callable[[Sequence[str]], ItemOrder]
Encode = Callable[[Sequence[str]], np.ndarray]  # texts to unit vectors [n, d]

FUSED_DEPTH = 100  # items that a list gives to beams and fusion


@dataclass
class Rankers:
    """The rankers of N items.

    Args:
        position_of: item token as responses write it -> position.
        id_list: ranks the items for an ID; -1 for none.
        title_list: ranks them for a title.
        popularity: [N] training actions by position, the last fallback; zeros leave the fixed order.
        clip_list: as title_list, by the CLIP tower; None where `ranking` does not use it.
        encoder_list: as title_list, by a sentence encoder; None where no list of fusion is one of it.
        session_list: ranks the items for a session, [B, S] positions, -1 for none; None without an ID model.
        sequence_list: ranks the items for what a user took, in place of session_list; None for an ID model without an
            encoder.
        neighbor_list: ranks the items for what a user took; None where no list of fusion needs it.
        word_list: ranks the items by the words of what a user took; None likewise.
        image_list: ranks the items by their pictures; None also where the items have none.
        id_depth: how many of the ID list's items mean something: one where only the generated ID itself is known.
    """

    position_of: Mapping[str, int]
    id_list: PositionRanker
    title_list: TextRanker
    popularity: np.ndarray
    clip_list: TextRanker | None = None
    encoder_list: TextRanker | None = None
    session_list: PositionRanker | None = None
    sequence_list: PositionRanker | None = None
    neighbor_list: NeighborList | None = None
    word_list: WordList | None = None
    image_list: ImageList | None = None
    id_depth: int = FUSED_DEPTH
    _popular: ConstantOrder | None = field(default=None, repr=False)

    def popular(self, tie: Tensor) -> ConstantOrder:
        """The most popular items first, equal counts by tie rank [N]; computed once."""
        if self._popular is None:
            self._popular = popular_order(self.popularity, tie)
        return self._popular


@dataclass(frozen=True)
class ItemVectors:
    """Unit vectors of N items by position, float32.

    Args:
        title: [N, d] of the title model.
        core: [M, d] the ID model's item embeddings (not normalised) of the M >= N items that users took; None without
            an ID model.
        clip: [N, d] of the CLIP tower; None where `ranking` does not use it.
        sentences: [N, d] of a sentence encoder; None without one.
    """

    title: np.ndarray
    core: np.ndarray | None = None
    clip: np.ndarray | None = None
    sentences: np.ndarray | None = None


@dataclass(frozen=True)
class Encoders:
    """Texts to the vectors of ItemVectors; None where those are None."""

    title: Encode
    clip: Encode | None = None
    sentences: Encode | None = None


def make_rankers(
    item_names: Sequence[str],
    vectors: ItemVectors,
    encoders: Encoders,
    popularity: np.ndarray,
    tie: np.ndarray,
    near: Callable[[str], Near | None],
    neighbors: NeighborList | None = None,
    encoder: SequenceEncoder | None = None,
    words: WordList | None = None,
    images: ImageList | None = None,
) -> Rankers:
    """Builds the rankers of N items.

    Users may have taken further items, at positions N and up: the lists of what they took read them and never rank
    them. `vectors.core`, `neighbors`, `words` and `images` are of all these items, everything else of the N.

    Args:
        item_names: item tokens as responses write them, by position.
        vectors: of the items.
        encoders: of these vectors.
        popularity: [N] training actions.
        tie: [N] int64, see `tie_rank`.
        near: the approximate index of the table `items`, `title`, `clip` or `sentences`; see `lists.cosine_table`.
        neighbors: None where no list of fusion needs it.
        encoder: of the ID model whose embeddings `vectors.core` are; None where its embeddings alone are used.
        words: as neighbors.
        images: as neighbors; None also where the items have no pictures.
    """
    core, ranked = vectors.core, len(tie)
    ids = None if core is None else IdList(core[:ranked], tie, near("items"))

    def by_text(name: str, table: np.ndarray | None, encode: Encode | None) -> TitleList | None:
        return None if table is None or encode is None else TitleList(table, encode, tie, near(name))

    return Rankers(
        position_of={name: position for position, name in enumerate(item_names)},
        id_list=IdentityList(tie) if ids is None else ids,
        title_list=TitleList(vectors.title, encoders.title, tie, near("title")),
        popularity=popularity,
        clip_list=by_text("clip", vectors.clip, encoders.clip),
        encoder_list=by_text("sentences", vectors.sentences, encoders.sentences),
        session_list=None if ids is None or core is None else ids.sessions(core[ranked:]),
        sequence_list=None if encoder is None or core is None else SequenceList(encoder, core, tie),
        neighbor_list=neighbors,
        word_list=words,
        image_list=images,
        id_depth=1 if ids is None else FUSED_DEPTH,
    )
