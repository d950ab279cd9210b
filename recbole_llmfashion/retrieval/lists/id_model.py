"""What the ID list and the session list need of a trained ID model."""

from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.retrieval.lists.sequence_list import SequenceEncoder


@dataclass(frozen=True)
class IdModel:
    """A trained ID model.

    Args:
        table: [N, d] its item embeddings by catalogue position, without the pad row.
        encoder: None where the lists use its embeddings alone.
    """

    table: np.ndarray
    encoder: SequenceEncoder | None = None
