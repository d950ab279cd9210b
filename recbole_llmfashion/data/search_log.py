"""Users' searches by internal ids: queries, results, and the search to which an item action is attributed.

Times are float64 throughout, because RecBole's float32 tensors merge events that are seconds apart.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_llmfashion.data.catalogue import Catalogue


@dataclass(frozen=True)
class SearchLog:
    """Searches grouped by user, in order of time within a user.

    Args:
        users: [S] internal user ids, from 1.
        times: [S] float64 seconds.
        query_index: [S] index into `queries`.
        queries: distinct query texts as typed.
        result_ptr, result_items: the results in CSR form: catalogue positions in the order in which they were shown;
            those of search s are result_items[result_ptr[s]:result_ptr[s + 1]].
        training: [S] bool, True if the search is strictly earlier than its user's last training target.
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
        """Build from the `.search` frame.

        Args:
            searches: columns user_id, timestamp, query, results.
            user_ids: user token -> internal id; searches of other users are left out.
            catalogue: the items.
            last_training_time: [users + 1] float64 time of each user's last training target, -inf if there is none.
        """
        frame = searches[searches["user_id"].isin(user_ids)]
        users = frame["user_id"].map(user_ids).to_numpy(np.int64)
        order = np.argsort(users, kind="stable")
        frame, users = frame.iloc[order], users[order]
        times = frame["timestamp"].to_numpy(np.float64)
        query_index, queries = pd.factorize(frame["query"])
        results = frame["results"].str.split()
        counts = results.str.len().to_numpy(np.int64) if len(frame) else np.zeros(0, np.int64)
        tokens = pd.Series([token for row in results for token in row], dtype=object)
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
        """Catalogue positions of one search's results, in the order in which they were shown."""
        return self.result_items[self.result_ptr[search] : self.result_ptr[search + 1]]

    def earlier(self, users: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Number of searches of users[i] that are strictly earlier than times[i].

        Args:
            users: [n] int64 internal user ids.
            times: [n] float64 seconds.

        Returns:
            [n] int64.
        """
        if not len(self):
            return np.zeros(len(users), np.int64)
        # one sorted axis for all users: rank the times globally, then search among (user, time rank)
        ranks = np.unique(np.r_[self.times, times], return_inverse=True)[1]
        width = int(ranks.max()) + 1
        keys = self.users * width + ranks[: len(self)]
        targets = users * width + ranks[len(self) :]
        return np.searchsorted(keys, targets, side="left") - np.searchsorted(keys, users * width, side="left")

    def attribute(self, users: np.ndarray, times: np.ndarray, window: float) -> np.ndarray:
        """The search to which each item action belongs: the user's latest strictly earlier one within the window.

        Args:
            users: [n] int64 internal user ids.
            times: [n] float64 seconds.
            window: longest time between search and action, in seconds.

        Returns:
            [n] int64 index into the log, -1 if there is none.
        """
        if not len(self):
            return np.full(len(users), -1, np.int64)
        count = self.earlier(users, times)
        first = np.searchsorted(self.users, users, side="left")
        latest = first + count - 1
        in_window = (count > 0) & (times - self.times[np.maximum(latest, 0)] <= window)
        return np.where(in_window, latest, -1)
