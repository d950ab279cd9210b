"""C4: the number of different search queries."""

from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.study.analysis.dates import NO_DATES, days, has_dates

NO_SEARCHES = "not applicable: no searches"


@dataclass(frozen=True)
class QueryCounts:
    """Counts of searches and unique queries; queries are compared after lower-casing and white-space normalization.

    Args:
        searches: number of searches.
        users: number of users in the folder, with or without searches.
        days: number of days with at least one search.
        unique: number of unique queries in the log.
        a_day: number of unique queries per day, averaged over days with searches.
        a_user: number of unique queries per user, averaged over all users.
    """

    searches: int
    users: int
    days: int
    unique: int
    a_day: float
    a_user: float

    @property
    def a_day_per_user(self) -> float:
        """Unique queries per day and user of the folder."""
        return self.a_day / self.users


def queries(folder: AtomicFolder) -> QueryCounts | str:
    """The counts of C4, or the reason why there are none."""
    if folder.searches.empty:
        return NO_SEARCHES
    times = folder.searches["timestamp"].to_numpy(np.float64)
    if not has_dates(times):
        return NO_DATES
    raw = folder.searches["query"]
    normalized = raw.map({text: normalize_text(text) for text in raw.unique()})
    day = days(times)
    users = folder.interactions["user_id"].nunique()
    return QueryCounts(
        searches=len(normalized),
        users=users,
        days=len(np.unique(day)),
        unique=normalized.nunique(),
        a_day=float(normalized.groupby(day).nunique().mean()),
        a_user=float(normalized.groupby(folder.searches["user_id"]).nunique().sum() / users),
    )
