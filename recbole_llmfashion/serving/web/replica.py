"""One replica's work without Ray: a Recommender that follows a journal and answers batches. Knows no HTTP.

What a caller did wrong is returned, not raised: an exception that crosses processes brings its traceback along.
"""

from collections.abc import Sequence
from threading import Lock

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import BatchReply, ErrorReply, RecommendRequest
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.serving.web.item_changes import Change, ItemChangeLog


class ReplicaWorker:
    """See the module.

    Args:
        recommender: nobody else changes it.
        journal: None where items do not come and go.

    Raises:
        UserError: a change in the journal that this run refuses.
    """

    def __init__(self, recommender: Recommender, journal: ItemChangeLog | None) -> None:
        self._recommender, self._journal, self._changing = recommender, journal, Lock()
        self._follow()

    def answer(self, asked: Sequence[RecommendRequest]) -> list[BatchReply | ErrorReply]:
        """Lists in the order of `asked`, by the items that are there when it is called."""
        self._follow()
        found = self._recommender.recommend_many(asked)
        return [ErrorReply(str(one)) if isinstance(one, UserError) else BatchReply(one, len(asked)) for one in found]

    def change(self, change: Change) -> ErrorReply | None:
        """Makes a change here and in the journal, or in neither; None where it was made.

        It is written before it is made: a replica killed between the two makes it when it comes back, and the caller,
        who got no answer, may ask again.
        """
        assert self._journal is not None
        with self._changing, self._journal.locked():
            self._catch_up(self._journal)
            self._journal.append(change)
            try:
                self._make(change)
            except BaseException as error:
                self._journal.take_back(change)
                if isinstance(error, UserError):
                    return ErrorReply(str(error))
                raise
        return None

    def _follow(self) -> None:
        if self._journal is not None:
            with self._changing:
                self._catch_up(self._journal)

    def _catch_up(self, journal: ItemChangeLog) -> None:
        for change in journal.fresh():
            self._make(change)

    def _make(self, change: Change) -> None:
        if change.add:
            self._recommender.add_items(pd.DataFrame(list(change.add)))
        else:
            self._recommender.remove_items(change.remove)
