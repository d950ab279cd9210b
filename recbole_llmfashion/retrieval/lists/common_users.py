"""How many users took each item, and each pair of items; which users they were is not kept.

The pairs grow with the square of a user's items: one bot with 40,000 of them would need 80 GB. So a user counts with
the newest MOST_ITEMS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from logging import getLogger

import numpy as np
from scipy import sparse

MOST_ITEMS = 2_000  # distinct items of a user that count: two million pairs, and more than people take


@dataclass(frozen=True)
class CommonUsers:
    """Counts of users, of N items.

    Args:
        users: [N] int64, of each item.
        pairs: sparse int64 [N, N], of each pair of items i < j.
        cut: number of users with more than MOST_ITEMS items; 0 where it is not known.
    """

    users: np.ndarray
    pairs: sparse.csr_array
    cut: int = 0

    @classmethod
    def count(cls, users: np.ndarray, items: np.ndarray, number: int) -> "CommonUsers":
        """Counts the actions of a log, and logs of how many users only the newest MOST_ITEMS items count.

        Args:
            users, items: [n] of the actions, each user's oldest first; repetitions count once.
            number: N.
        """
        users, items, cut = _newest(users, items)
        if cut:
            getLogger(__name__).warning(
                f"neighbors: only the newest {MOST_ITEMS:,} distinct items of a user count; users with more: {cut:,}; "
                "user_inter_num_interval leaves them out"
            )
        shape = (int(users.max(initial=0)) + 1, number)
        incidence = sparse.coo_array((np.ones(len(users), np.int64), (users, items)), shape=shape).tocsr()
        pairs = sparse.triu(incidence.T @ incidence, k=1).tocsr()
        pairs.sort_indices()
        return cls(np.asarray(incidence.sum(axis=0)).ravel(), pairs, cut)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "CommonUsers":
        """The counts that `arrays` returned.

        Raises:
            ValueError: the arrays do not fit each other.
        """
        users, parts = arrays["users"].astype(np.int64), (arrays["common"], arrays["item"], arrays["first"])
        counts, items, first = (part.astype(np.int64) for part in parts)
        number = len(users)
        whole = first.shape == (number + 1,) and counts.shape == items.shape == (first[-1],) and not first[0]
        rows = np.repeat(np.arange(number), np.diff(first)) if whole and (np.diff(first) >= 0).all() else items[:0]
        ascending = (np.diff(rows * number + items) > 0).all() if len(rows) == len(items) else False
        if not ascending or not ((rows < items) & (items < number)).all():
            raise ValueError("expected pairs of items, each once, in the order of their positions")
        if (counts < 1).any() or (counts > np.minimum(users[rows], users[items])).any():
            raise ValueError("expected pairs with one common user or more, and no more than each item has")
        return cls(users, sparse.csr_array((counts, items, first), shape=(number, number)))

    def arrays(self) -> dict[str, np.ndarray]:
        """The counts as plain arrays: users [N], common and item [pairs], first [N + 1]; a row's pairs are together."""
        return {
            "users": self.users.astype(np.int32),
            "common": self.pairs.data.astype(np.int32),
            "item": self.pairs.indices.astype(np.int32),
            "first": self.pairs.indptr.astype(np.int64),
        }

    def at_least(self, least: int) -> "CommonUsers":
        """The same counts without the pairs of fewer common users: one user's pairs are that user's items."""
        if least <= 1:
            return self
        pairs = self.pairs.copy()
        pairs.data[pairs.data < least] = 0
        pairs.eliminate_zeros()
        return CommonUsers(self.users, pairs, self.cut)

    def cosines(self) -> sparse.csr_array:
        """Sparse [N, N], the diagonal empty."""
        pairs = self.pairs.tocoo()
        value = pairs.data / np.sqrt(self.users[pairs.row] * self.users[pairs.col])
        half = sparse.coo_array((value, (pairs.row, pairs.col)), shape=pairs.shape).tocsr()
        return (half + half.T).tocsr()


def _newest(users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The distinct pairs of user and item of a log, of each user the MOST_ITEMS that were taken last.

    Args:
        users, items: as for `CommonUsers.count`.

    Returns:
        users and items [m] of the pairs, and the number of users who have more.
    """
    age = np.arange(len(users))[::-1]
    order = np.lexsort((age, items, users))
    user, item = users[order], items[order]
    # the first of equal pairs is the newest
    first = np.r_[True, (np.diff(user) != 0) | (np.diff(item) != 0)][: len(order)]
    user, item, age = user[first], item[first], age[order][first]
    counts = np.bincount(user)
    cut = int((counts > MOST_ITEMS).sum())
    if not cut:
        return user, item, 0
    order = np.lexsort((age, user))
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.sort(order[place < MOST_ITEMS])
    return user[kept], item[kept], cut
