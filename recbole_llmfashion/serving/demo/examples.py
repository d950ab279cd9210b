"""Example customers of the demo, composed from the catalogue and the memory of the run.

A run folder contains no users, so the examples are not real customers: queries are those that most users searched for,
and products are those that the memory recalls for them. A query of fewer than two users is no example, whatever the
memory holds, because it may tell who searched.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.serving.demo.visit import Action, Kind, Visit
from recbole_llmfashion.serving.state import ServingState

MINUTE = 60.0
LEAST_ASKERS = 2  # users who searched for the query of an example
Step = tuple[Kind, int, str]


def examples(state: ServingState, now: float) -> dict[str, Visit]:
    """Example visits by name; the first one has no actions.

    Args:
        state: gives the items and, through its memory if it has one, the queries.
        now: time of the last action of each visit, seconds since 1970.
    """
    visits = {"New customer": Visit()}
    for steps in _plans(state):
        actions = tuple(
            Action(kind, now - MINUTE * (len(steps) - 1 - i), item, query)
            for i, (kind, item, query) in enumerate(steps)
        )
        visits.setdefault(_name(steps, state), Visit(actions))
    return visits


def _plans(state: ServingState) -> Iterator[list[Step]]:
    """A search; a search and one or two clicks; a purchase and another search; clicks only."""
    searches = [(query, state.memory.top_products(query)) for query in common_queries(state, 4)] if state.memory else []
    for (query, items), n_clicks in zip(searches, (0, 1, 2), strict=False):
        yield [("search", -1, query), *_clicks(items[:n_clicks])]
    if len(searches) > 3:
        query, items = searches[3]
        yield [("search", -1, query), *_clicks(items[:1]), *_buys(items[:1]), ("search", -1, searches[0][0])]
    popular = state.search("", 6)
    yield _clicks(popular[:1])
    if not searches:
        yield _clicks(popular[1:3])
        yield [*_clicks(popular[3:4]), *_buys(popular[3:4]), *_clicks(popular[4:6])]


def _clicks(items: Sequence[int]) -> list[Step]:
    return [("click", item, "") for item in items]


def _buys(items: Sequence[int]) -> list[Step]:
    return [("purchase", item, "") for item in items]


def common_queries(state: ServingState, count: int) -> list[str]:
    """The normalized queries of most users, at least LEAST_ASKERS, no two of which share a word; at most `count`."""
    files = state.run.memory
    if files is None or state.memory is None:
        return []
    askers = {normalize_text(query): count for query, count in zip(files.queries, files.askers, strict=True)}
    chosen: list[str] = []
    words: set[str] = set()
    for query in sorted(askers, key=lambda text: (-askers[text], text)):
        if askers[query] < LEAST_ASKERS:
            break
        if query and state.memory.knows(query) and not words & set(query.split()):
            chosen.append(query)
            words |= set(query.split())
        if len(chosen) == count:
            break
    return chosen


def _name(steps: Sequence[Step], state: ServingState) -> str:
    """The name of an example: its first action and the number of further ones."""
    kind, item, query = steps[0]
    first = f"Searched “{query}”" if kind == "search" else f"Clicked {state.pool.titles[item]}"
    rest = Counter(kind for kind, *_ in steps[1:])
    words = {"click": "clicked", "purchase": "bought", "search": "searched again"}
    more = [f"{words[kind]} {times}" if kind != "search" else words[kind] for kind, times in rest.items()]
    return ", ".join([first, *more])
