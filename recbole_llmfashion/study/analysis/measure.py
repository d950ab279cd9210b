"""Everything that the analysis says of one folder, the frames forgotten. Knows no other folder and no paper."""

from dataclasses import dataclass

from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, folder_sha256
from recbole_llmfashion.data.split import sequence_lengths
from recbole_llmfashion.study.analysis.counts import DatasetCounts, Lengths, counts, facts, length_statistics
from recbole_llmfashion.study.analysis.dates import check_range
from recbole_llmfashion.study.analysis.queries import QueryCounts, queries
from recbole_llmfashion.study.analysis.seasonality import Pulls, pulls
from recbole_llmfashion.study.analysis.turnover import Turnover, turnover


@dataclass(frozen=True)
class Measured:
    """A folder's numbers; a text stands where there are none and says why."""

    name: str
    facts: dict[str, str | int]
    counts: DatasetCounts
    lengths: Lengths
    turnover: Turnover | str
    pulls: Pulls | str
    queries: QueryCounts | str


def measure(folder: AtomicFolder) -> Measured:
    """Counts a folder.

    Raises:
        UserError: it is not clean, or a timestamp is no date in seconds.
    """
    check_clean(folder)
    for suffix, frame in (("inter", folder.interactions), ("search", folder.searches)):
        check_range(frame["timestamp"].to_numpy(float), f"{folder.path}/{folder.name}.{suffix}")
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
