"""The queries of microsoft/hnm-search-data, matched with the stream of transactions.

queries.csv has query_id, transaction_id, query_text. transactions_train.csv has no ids, so a transaction_id is a row
number. Whether rows are numbered from 0 or 1 is not documented: it is an option, and qrels.csv (query_id, positive_ids,
..) serves to check it.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.convert.filters import DAY
from recbole_llmfashion.dataset_tools.convert.readers.cells import as_text
from recbole_llmfashion.dataset_tools.convert.sources.table_source import read_source
from recbole_llmfashion.errors import UserError

# least share of queries whose article is positive by qrels.csv; with a wrong first row almost none is
_AGREEMENT = 0.99


class HMQueries:
    """Queries, to be matched with their transactions.

    Args:
        queries: queries.csv.
        first: number of the first transaction, 0 or 1.
        qrels: qrels.csv, or None.

    Raises:
        UserError: a file or a column is missing.
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
        """Match consecutive transactions, of which `row` is the first row; a row may have several queries."""
        low, high = np.searchsorted(self._places, [row, row + len(users)])
        here = self._places[low:high] - row
        self._users[low:high], self._articles[low:high] = users[here], articles[here]
        self._days[low:high] = seconds[here]

    def searches(self) -> tuple[pd.DataFrame, list[str]]:
        """The searches with a matched transaction, at the last second of its day, and lines of text about them.

        Raises:
            UserError: the articles of the transactions do not agree with qrels.csv.
        """
        matched = np.isfinite(self._days) & (self._users != "")
        notes = [
            f"{self._file}: {len(matched) + self._unusable:,} queries; left out {self._unusable:,} without text or"
            f" transaction and {int((~matched).sum()):,} without a usable transaction; transactions are numbered from"
            f" {self._first}"
        ]
        notes.append(self._agreement(matched))
        frame = pd.DataFrame(
            {"user_id": self._users[matched], "timestamp": self._days[matched] + DAY - 1, "query": self._texts[matched]}
        )
        frame["results"] = pd.Series([[] for _ in range(len(frame))], index=frame.index, dtype=object)
        return frame, notes

    def _agreement(self, matched: NDArray[np.bool_]) -> str:
        """A note on the share of queries whose article is positive by qrels.csv."""
        if self._positives is None:
            return f"{self._file}: the row number {self._first} of the first transaction was not checked (--qrels FILE)"
        judged = [i for i in np.flatnonzero(matched) if self._query_ids[i] in self._positives]
        agree = sum(self._articles[i] in self._positives[self._query_ids[i]] for i in judged)
        share = agree / max(1, len(judged))
        if share < _AGREEMENT:
            raise UserError(
                f"{self._file}: only {share:.1%} of {len(judged):,} queries have a transaction of an article that is"
                f" positive by the qrels; check the files, or try --first-transaction {1 - self._first}"
            )
        return (
            f"{self._file}: {share:.1%} of {len(judged):,} transactions are of an article that is positive by the qrels"
        )


def _read_positives(path: Path) -> dict[str, set[str]]:
    frame = read_source(path, ["query_id", "positive_ids"]).frame
    return {
        query: {article.zfill(10) for article in articles.split()}
        for query, articles in zip(frame["query_id"], frame["positive_ids"], strict=True)
    }
