"""The work of one replica, independent of Ray and HTTP: a Recommender that applies logged item changes.

Changes are applied in order: one that fails is tried again before every batch, and those behind it wait. In the
meantime the replica answers no request, because it might serve what was removed. Errors are returned as an ErrorReply,
because an exception raised across processes carries its traceback.
"""

from collections.abc import Sequence
from logging import getLogger
from threading import Lock

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.item_pool import check_fields
from recbole_llmfashion.serving.messages import BatchReply, ErrorReply, RecommendRequest
from recbole_llmfashion.serving.next_items import ChangeError, ItemChange
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.serving.web.item_changes import ItemChangeLog
from recbole_llmfashion.serving.web.journal import Change, Entry, JournalError


class BehindError(Exception):
    """A change of the journal cannot be applied to this replica."""


class ReplicaWorker:
    """Recommends in batches and keeps the items of its Recommender in step with the log.

    Args:
        recommender: must not be changed by anyone else.
        journal: None if items cannot be added or removed.

    Attributes:
        started: one line on the journal; empty without one.
        broken: whether the last attempt to follow the journal failed on this replica, while the journal is readable.

    Raises:
        UserError: a change in the log is invalid for this run.
    """

    def __init__(self, recommender: Recommender, journal: ItemChangeLog | None) -> None:
        self._recommender, self._journal, self._items_lock = recommender, journal, Lock()
        self.started, self.broken, self._logged = "", False, ""
        if journal is not None:
            try:
                count = self._apply_unread(journal)
            except BehindError as error:
                raise UserError(f"journal: {error}; it may belong to another run") from error.__cause__
            news = "a new file, without changes" if journal.created else f"{count} changes were replayed"
            self.started = f"journal: {journal.path}: {news}"

    def recommend(self, requests: Sequence[RecommendRequest]) -> list[BatchReply | ErrorReply]:
        """Replies in the order of `requests`, with all changes applied that were logged before the call."""
        trouble = self.follow()
        if trouble is not None:
            return [trouble] * len(requests)
        return [
            ErrorReply(str(response)) if isinstance(response, UserError) else BatchReply(response, len(requests))
            for response in self._recommender.recommend_many(requests)
        ]

    def follow(self) -> ErrorReply | None:
        """Applies new changes of the journal.

        Returns:
            None if the items are up to date, otherwise why requests cannot be answered.
        """
        if self._journal is None:
            return None
        try:
            with self._items_lock:
                self._apply_unread(self._journal)
        except (JournalError, BehindError) as error:
            return self._unavailable(error)
        self.broken, self._logged = False, ""
        return None

    def change(self, change: Change) -> ErrorReply | None:
        """Applies a change and logs it, or does neither.

        The change is logged before it is applied: a replica that is killed in between applies it after its restart,
        and the client, which got no answer, may send it again.

        Returns:
            None if the change was applied.
        """
        assert self._journal is not None
        try:
            check_fields((name for item in change.add for name in item), self._recommender.attributes, "items")
        except UserError as error:
            return ErrorReply(str(error))
        try:
            with self._items_lock, self._journal.locked():
                self._apply_unread(self._journal)
                return self._make(change, self._journal)
        except (JournalError, BehindError) as error:
            return self._unavailable(error)

    def _make(self, change: Change, journal: ItemChangeLog) -> ErrorReply | None:
        entry = journal.append(change)
        try:
            self._apply(change)
        except BaseException as error:
            journal.take_back()
            if isinstance(error, UserError):
                return ErrorReply(str(error))
            raise
        try:
            journal.confirm(entry)
        except JournalError as error:  # the change is made; only its loss would not be noticed after a restart
            getLogger(__name__).warning(str(error))
        return None

    def _apply_unread(self, journal: ItemChangeLog) -> int:
        """Applies changes until one fails, and returns their number.

        Raises:
            JournalError: the journal cannot be read.
            BehindError: a change failed.
        """
        entries = journal.unread()
        if entries:
            self._apply_entries(entries, journal)
        return len(entries)

    def _apply_entries(self, entries: Sequence[Entry], journal: ItemChangeLog) -> None:
        """Applies changes together, because a Recommender builds its lists for a second or more.

        If it cannot build them, each half is tried, down to the change that fails.
        """
        made, failed = len(entries), None
        try:
            self._recommender.change_items([_items_of(entry.change) for entry in entries])
        except ChangeError as error:
            made, failed = error.made, error.__cause__
        except Exception as error:
            if len(entries) > 1:
                for half in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
                    self._apply_entries(half, journal)
                return
            made, failed = 0, error
        if made:
            journal.applied(entries[made - 1])
        if failed is not None:
            place = f"the change in line {entries[made].end.changes + 1}"
            raise BehindError(f"{place} cannot be made ({str(failed) or type(failed).__name__})") from failed

    def _apply(self, change: Change) -> None:
        items = _items_of(change)
        if isinstance(items, pd.DataFrame):
            self._recommender.add_items(items)
        else:
            self._recommender.remove_items(items)

    def _unavailable(self, error: JournalError | BehindError) -> ErrorReply:
        """The reply while the journal cannot be followed; each reason is logged once."""
        self.broken = isinstance(error, BehindError)
        if str(error) != self._logged:
            self._logged = str(error)
            getLogger(__name__).error(str(error), exc_info=error.__cause__ if self.broken else None)
        reason = error.reason if isinstance(error, JournalError) else "a change of the items cannot be made"
        return ErrorReply(f"{reason}; see the log of the service", unavailable=True)


def _items_of(change: Change) -> ItemChange:
    return pd.DataFrame(list(change.add)) if change.add else change.remove
