"""The work of one replica, independent of Ray and HTTP: a Recommender that applies logged item changes.

A UserError is returned as an ErrorReply, because an exception raised across processes carries its traceback.
"""

from collections.abc import Sequence
from threading import Lock

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import BatchReply, ErrorReply, RecommendRequest
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.serving.web.item_changes import Change, ItemChangeLog


class ReplicaWorker:
    """Recommends in batches and keeps the items of its Recommender in step with the log.

    Args:
        recommender: must not be changed by anyone else.
        journal: None if items cannot be added or removed.

    Raises:
        UserError: a change in the log is invalid for this run.
    """

    def __init__(self, recommender: Recommender, journal: ItemChangeLog | None) -> None:
        self._recommender, self._journal, self._items_lock = recommender, journal, Lock()
        self._sync()

    def recommend(self, requests: Sequence[RecommendRequest]) -> list[BatchReply | ErrorReply]:
        """Replies in the order of `requests`, with all changes applied that were logged before the call."""
        self._sync()
        return [
            ErrorReply(str(response)) if isinstance(response, UserError) else BatchReply(response, len(requests))
            for response in self._recommender.recommend_many(requests)
        ]

    def change(self, change: Change) -> ErrorReply | None:
        """Applies a change and logs it, or does neither.

        The change is logged before it is applied: a replica that is killed in between applies it after its restart,
        and the client, which got no answer, may send it again.

        Returns:
            None if the change was applied.
        """
        assert self._journal is not None
        with self._items_lock, self._journal.locked():
            self._apply_new(self._journal)
            self._journal.append(change)
            try:
                self._apply(change)
            except BaseException as error:
                self._journal.take_back(change)
                if isinstance(error, UserError):
                    return ErrorReply(str(error))
                raise
        return None

    def _sync(self) -> None:
        if self._journal is not None:
            with self._items_lock:
                self._apply_new(self._journal)

    def _apply_new(self, journal: ItemChangeLog) -> None:
        for change in journal.fresh():
            self._apply(change)

    def _apply(self, change: Change) -> None:
        if change.add:
            self._recommender.add_items(pd.DataFrame(list(change.add)))
        else:
            self._recommender.remove_items(change.remove)
