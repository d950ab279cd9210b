"""All measurements of one folder, without keeping its data frames."""

from dataclasses import dataclass
from typing import Any

from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean
from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.data.split import sequence_lengths
from recbole_llmfashion.study.analysis.counts import DatasetCounts, Lengths, counts, facts, length_statistics
from recbole_llmfashion.study.analysis.queries import QueryCounts, queries
from recbole_llmfashion.study.analysis.seasonality import Pulls, pulls
from recbole_llmfashion.study.analysis.turnover import Turnover, turnover


@dataclass(frozen=True)
class Measured:
    """The measurements of a folder; a text is the reason why a measurement does not apply."""

    name: str
    facts: dict[str, Any]
    counts: DatasetCounts
    lengths: Lengths
    turnover: Turnover | str
    pulls: Pulls | str
    queries: QueryCounts | str


def measure(folder: AtomicFolder) -> Measured:
    """Measures a folder.

    Raises:
        UserError: the folder is not clean.
    """
    check_clean(folder)
    lengths = sequence_lengths(folder.interactions)
    return Measured(
        name=folder.name,
        facts=facts(folder, folder_sha256(folder.path, folder.name)),
        counts=counts(folder, lengths),
        lengths=length_statistics(lengths, len(folder.interactions)),
        turnover=turnover(folder),
        pulls=pulls(folder),
        queries=queries(folder),
    )
