"""Training and validation rows of Recformer as plain arrays."""

from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.model.recformer.flatten import TokenRows
from recbole_llmfashion.stage_store import sha256_arrays


@dataclass(frozen=True)
class Examples:
    """Pairs of a history and the item that followed it.

    Args:
        users: [n] user of each row; the rows of a user are contiguous and in order of time.
        histories: entries of each row, most recent first.
        targets: [n] catalogue positions of the next items.
    """

    users: np.ndarray
    histories: list[np.ndarray]
    targets: np.ndarray

    def sha256(self, rows: TokenRows) -> str:
        """Digest of the rows that does not depend on how their entries are numbered."""
        entries = rows.hashes[np.concatenate([np.zeros(0, np.int64), *self.histories])]
        lengths = np.array([len(history) for history in self.histories], np.int64)
        return sha256_arrays(self.users, lengths, entries, self.targets)
