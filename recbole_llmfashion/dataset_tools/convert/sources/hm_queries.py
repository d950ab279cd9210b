"""The queries of microsoft/hnm-search-data, met with their transactions while those stream past.

queries.csv has query_id, transaction_id, query_text; transactions_train.csv has no ids, so a transaction is told by the
place of its row. Whether places count from 0 or 1 is said nowhere: the caller says it, and qrels.csv (query_id,
positive_ids, ..), where given, proves it. Does NOT read transactions.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.convert.filters import DAY
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_text
from recbole_llmfashion.dataset_tools.convert.sources.table_source import read_source
from recbole_llmfashion.errors import UserError

# of the queries with qrels; a wrong count from 0 or 1 leaves almost none
_AGREEMENT = 0.99


class HMQueries:
    """Queries waiting for their transactions.

    Args:
        queries: queries.csv; first: the place of the first transaction, 0 or 1; qrels: qrels.csv, or None.

    Raises:
        UserError: for a file that is not as published.
    """

    def __init__(self, queries: Path, first: int = 0, qrels: Path | None = None) -> None:
        self.files = (queries, qrels) if qrels is not None else (queries,)
        source = read_source(queries, ["query_id", "transaction_id", "query_text"])
        text = source.frame["query_text"].map(as_text).to_numpy(object)
        ids = source.frame["transaction_id"].str.strip()
        usable = ids.str.fullmatch(r"\d{1,15}").to_numpy(bool) & (text != "")
        self._unusable = int((~usable).sum())
        places = ids[usable].astype(np.int64).to_numpy() - first
        order = np.argsort(places, kind="stable")
        self._places, self._texts = places[order], text[usable][order]
        self._query_ids = source.frame["query_id"].to_numpy(object)[usable][order]
        self._first, self._file = first, queries.name
        n = len(self._places)
        self._users = np.full(n, "", dtype=object)
        self._articles = np.full(n, "", dtype=object)
        self._days = np.full(n, np.nan)
        self._positives = None if qrels is None else _read_positives(qrels)

    def meet(
        self, row: int, users: NDArray[np.object_], articles: NDArray[np.object_], seconds: NDArray[np.float64]
    ) -> None:
        """Transactions from place `row` on; each place may stand in several queries."""
        low, high = np.searchsorted(self._places, [row, row + len(users)])
        here = self._places[low:high] - row
        self._users[low:high], self._articles[low:high] = users[here], articles[here]
        self._days[low:high] = seconds[here]

    def searches(self) -> tuple[pd.DataFrame, list[str]]:
        """The searches of transactions that were met, at the last second of their days, and what was counted.

        Raises:
            UserError: if the qrels say that these are not the queries' transactions.
        """
        met = np.isfinite(self._days) & (self._users != "")
        notes = [
            f"{self._file}: {len(met) + self._unusable:,} queries, {self._unusable:,} without text or transaction and"
            f" {int((~met).sum()):,} of no usable transaction left out; transactions are counted from {self._first}"
        ]
        notes.append(self._agreement(met))
        frame = pd.DataFrame(
            {"user_id": self._users[met], "timestamp": self._days[met] + DAY - 1, "query": self._texts[met]}
        )
        frame["results"] = pd.Series([[] for _ in range(len(frame))], index=frame.index, dtype=object)
        return frame, notes

    def _agreement(self, met: NDArray[np.bool_]) -> str:
        if self._positives is None:
            return f"{self._file}: that places count from {self._first} was not checked; --qrels FILE would"
        asked = [i for i in np.flatnonzero(met) if self._query_ids[i] in self._positives]
        agree = sum(self._articles[i] in self._positives[self._query_ids[i]] for i in asked)
        share = agree / max(1, len(asked))
        if share < _AGREEMENT:
            raise UserError(
                f"{self._file}: for {share:.1%} of {len(asked):,} queries the transaction is of an article that the"
                f" qrels call positive; are these the files, and is --first-transaction {1 - self._first} right?"
            )
        return (
            f"{self._file}: {share:.1%} of {len(asked):,} transactions are of an article that the qrels call positive"
        )


def _read_positives(path: Path) -> dict[str, set[str]]:
    frame = read_source(path, ["query_id", "positive_ids"]).frame
    return {
        query: {article.zfill(10) for article in articles.split()}
        for query, articles in zip(frame["query_id"], frame["positive_ids"], strict=True)
    }
