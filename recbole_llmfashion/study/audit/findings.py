"""What an audit found, before it is written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recbole_llmfashion.study.audit.measures.contents import Counts, Held
from recbole_llmfashion.study.audit.measures.extraction import Share
from recbole_llmfashion.study.audit.measures.lists import ListExposures
from recbole_llmfashion.study.audit.measures.membership import Auc
from recbole_llmfashion.study.audit.measures.modes import Exposures


@dataclass(frozen=True)
class Extraction:
    """Texts that the LLM went on with.

    Args:
        kind: queries or titles.
        training: of training rows.
        others: of no training row.
    """

    kind: str
    training: Share
    others: Share


@dataclass(frozen=True)
class Membership:
    """How well customers of training rows are told from others.

    Args:
        by: loss of the LLM, or rank in a list.
        auc: the area.
        members, others: number of customers.
    """

    by: str
    auc: Auc
    members: int
    others: int


@dataclass(frozen=True)
class KeptQueries:
    """The queries that a run gives to others in plain text.

    Args:
        min_askers: customers that a query needs.
        queries: of the memory.
        training: share of the dataset's training queries that are among them; None without the data.
    """

    min_askers: int
    queries: int
    training: float | None


@dataclass
class Findings:
    """What was measured; what could not be is named in `missing`.

    Args:
        counts: of the run's files.
        kept: queries by min_askers.
        of_customers: files that hold ids of customers, and of how many; None without the data.
        numbers: how many customers each canary has.
        candidates: products that a canary is ranked among, itself included.
        exposures, lists, held: of canaries.
        extraction, membership: of the data.
        missing: part of the audit -> why it is not there.
    """

    counts: Counts
    kept: list[KeptQueries]
    of_customers: Mapping[str, int] | None = None
    numbers: Sequence[int] = ()
    candidates: int = 0
    exposures: list[Exposures] = field(default_factory=list)
    lists: list[ListExposures] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    extraction: list[Extraction] = field(default_factory=list)
    membership: list[Membership] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
