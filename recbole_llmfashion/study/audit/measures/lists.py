"""What the served list gives away of canaries: the rank of a product after its query, whole or in part, or after the
product that was bought before it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from recbole_llmfashion.data.atomic.canaries import Canary, Planted
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.serving.state import ServingState
from recbole_llmfashion.study.audit.measures.exposure import exposure
from recbole_llmfashion.study.audit.measures.sessions import Prompts, before


def _one_letter_wrong(query: str) -> str:
    return query[:2] + ("x" if query[2:3] != "x" else "q") + query[3:]


PROBES: dict[str, Callable[[str], str]] = {
    "the exact query": lambda query: query,
    "a letter wrong": _one_letter_wrong,
    "its first two words": lambda query: " ".join(query.split()[:2]),
    "its first word": lambda query: query.split()[0],
}
PAIR = "the product before it"
EXACT = (next(iter(PROBES)), PAIR)  # what customers did, without a change


@dataclass(frozen=True)
class ListExposures:
    """The exposure of each canary's product in the lists of one memory.

    Args:
        min_askers: customers that a query of the memory and a pair of the neighbors' list need.
        probe: what the session shows.
        bits: one per canary.
        first_ten: whether the product is among the first ten of the whole catalogue, per canary.
    """

    min_askers: int
    probe: str
    bits: Sequence[float]
    first_ten: Sequence[bool]


def list_exposures(state: ServingState, planted: Planted, now: float, min_askers: int) -> list[ListExposures]:
    """Begins a session with each canary's query, variants of it, or the product before it, and ranks its product among
    the candidates in the list.

    Args:
        state: of the run with that memory; all its items may be recommended.
        planted: the canaries.
        now: time of the search.
        min_askers: of the memory.
    """
    prompts = Prompts(state, now)
    others = [prompts.position(one.item) for one in planted.candidates]
    found = []
    for name, probed in _probes(planted):
        sessions = [prompts.session([before(one, now)]) for one in probed]
        replies = state.replies(sessions, ResponseStats())
        bits, first_ten = [], []
        for one, reply in zip(planted.canaries, replies, strict=True):
            items = torch.tensor([[prompts.position(one.item), *others]])
            keys = [-float(key) for key in reply.ranked.final.positions(items)[0]]
            bits.append(exposure(keys[0], keys[1:]))
            first_ten.append(int(items[0, 0]) in reply.top(10))
        found.append(ListExposures(min_askers, name, bits, first_ten))
    return found


def _probes(planted: Planted) -> Iterator[tuple[str, Sequence[Canary]]]:
    """Each probe, and the canaries as it changes them."""
    if planted.pairs:
        yield PAIR, planted.canaries
        return
    for name, probe in PROBES.items():
        yield name, [replace(one, query=probe(one.query)) for one in planted.canaries]
