"""A user's searches by internal ids: what was typed, what was shown, and which search an item action belongs to.

Times are float64 throughout: RecBole's float32 tensors merge events that lie seconds apart. The log knows no split; it
is told which of its events belong to training.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_llmfashion.data.catalogue import Catalogue


@dataclass(frozen=True)
class SearchLog:
    """Searches in file order, one user's together, times not decreasing within a user.

    Args:
        users: [S] internal user ids, from 1.
        times: [S] float64 seconds.
        query_index: [S] into `queries`.
        queries: distinct query texts as typed.
        result_ptr, result_items: CSR over searches: catalogue positions shown, by organic position.
        training: [S] bool, strictly earlier than the user's last training target.
    """

    users: np.ndarray
    times: np.ndarray
    query_index: np.ndarray
    queries: tuple[str, ...]
    result_ptr: np.ndarray
    result_items: np.ndarray
    training: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    @classmethod
    def from_frame(
        cls, searches: pd.DataFrame, user_ids: dict[str, int], catalogue: Catalogue, last_training_time: np.ndarray
    ) -> "SearchLog":
        """From the `.search` frame.

        Args:
            searches: columns user_id, timestamp, query, results.
            user_ids: token to internal id; searches of others are left out.
            last_training_time: [users + 1] float64 time of each user's last training target, -inf where none.
        """
        frame = searches[searches["user_id"].isin(user_ids)]
        users = frame["user_id"].map(user_ids).to_numpy(np.int64)
        order = np.argsort(users, kind="stable")
        frame, users = frame.iloc[order], users[order]
        times = frame["timestamp"].to_numpy(np.float64)
        query_index, queries = pd.factorize(frame["query"])
        results = frame["results"].str.split()
        counts = results.str.len().to_numpy(np.int64) if len(frame) else np.zeros(0, np.int64)
        tokens = pd.Series([token for shown in results for token in shown], dtype=object)
        return cls(
            users=users,
            times=times,
            query_index=query_index.astype(np.int64),
            queries=tuple(queries),
            result_ptr=np.r_[0, np.cumsum(counts)],
            result_items=catalogue.positions(tokens).to_numpy(np.int64),
            training=times < last_training_time[users],
        )

    def results(self, search: int) -> np.ndarray:
        """Catalogue positions shown for one search, best position first."""
        return self.result_items[self.result_ptr[search] : self.result_ptr[search + 1]]

    def earlier(self, users: np.ndarray, times: np.ndarray) -> np.ndarray:
        """[n] how many searches of each user are strictly earlier than each time."""
        if not len(self):
            return np.zeros(len(users), np.int64)
        # one sorted axis for all users: rank times globally, then count within (user, time rank)
        ranks = np.unique(np.r_[self.times, times], return_inverse=True)[1]
        width = int(ranks.max()) + 1
        own = self.users * width + ranks[: len(self)]
        asked = users * width + ranks[len(self) :]
        return np.searchsorted(own, asked, side="left") - np.searchsorted(own, users * width, side="left")

    def attribute(self, users: np.ndarray, times: np.ndarray, window: float) -> np.ndarray:
        """[n] the latest strictly earlier search of the same user, at most `window` seconds before; -1 where none."""
        if not len(self):
            return np.full(len(users), -1, np.int64)
        count = self.earlier(users, times)
        first = np.searchsorted(self.users, users, side="left")
        latest = first + count - 1
        near = (count > 0) & (times - self.times[np.maximum(latest, 0)] <= window)
        return np.where(near, latest, -1)
