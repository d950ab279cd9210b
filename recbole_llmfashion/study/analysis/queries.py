"""C4: how many different queries people search with. Knows an atomic folder."""

from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.study.analysis.dates import NO_DATES, days, has_dates

NO_SEARCHES = "not applicable: no searches"


@dataclass(frozen=True)
class QueryCounts:
    """Queries, equal ones being one after lower-casing and white-space folding.

    Args:
        users: of the folder, with or without searches; days: with at least one search.
        unique: in the whole log; a_day: mean over the days of the different queries of a day.
        a_user: mean over all users of a user's different queries.
    """

    searches: int
    users: int
    days: int
    unique: int
    a_day: float
    a_user: float

    @property
    def a_day_per_user(self) -> float:
        """Different queries of a day for each user of the folder."""
        return self.a_day / self.users


def queries(folder: AtomicFolder) -> QueryCounts | str:
    """C4's numbers, or why there are none."""
    if folder.searches.empty:
        return NO_SEARCHES
    times = folder.searches["timestamp"].to_numpy(np.float64)
    if not has_dates(times):
        return NO_DATES
    raw = folder.searches["query"]
    folded = raw.map({text: normalize_text(text) for text in raw.unique()})
    day = days(times)
    users = folder.interactions["user_id"].nunique()
    return QueryCounts(
        searches=len(folded),
        users=users,
        days=len(np.unique(day)),
        unique=folded.nunique(),
        a_day=float(folded.groupby(day).nunique().mean()),
        a_user=float(folded.groupby(folder.searches["user_id"]).nunique().sum() / users),
    )
