"""Customers to begin with. A run holds no users, so these are made up, of its own catalogue and its memory's queries.

Nobody in the training log did this: queries are the log's, chosen by how often they were asked, and products are what
the memory has for them; which customer asked what is not in a run and is not guessed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.serving.demo.visit import Action, Kind, Visit
from recbole_llmfashion.serving.state import ServingState

MINUTE = 60.0
Step = tuple[Kind, int, str]


def examples(state: ServingState, now: float) -> dict[str, Visit]:
    """Visits by the name that a page gives them, at most one a shape; the first one is of somebody who did nothing yet.

    Args:
        state: names the items; its memory, where it has one, gives queries.
        now: seconds, when the last action of each was done.
    """
    made = {"New customer": Visit()}
    for steps in _plans(state):
        actions = tuple(
            Action(kind, now - MINUTE * (len(steps) - 1 - i), item, query)
            for i, (kind, item, query) in enumerate(steps)
        )
        made.setdefault(_name(steps, state), Visit(actions))
    return made


def _plans(state: ServingState) -> Iterator[list[Step]]:
    """A search; a search and a click; two clicks compared; a purchase, then another search; clicks alone."""
    asked = [(query, state.memory.top_products(query)) for query in common_queries(state, 4)] if state.memory else []
    for (query, items), looked in zip(asked, (0, 1, 2), strict=False):
        yield [("search", -1, query), *_clicks(items[:looked])]
    if len(asked) > 3:
        query, items = asked[3]
        again = asked[0][0]
        yield [("search", -1, query), *_clicks(items[:1]), *_buys(items[:1]), ("search", -1, again)]
    popular = state.search("", 6)
    yield _clicks(popular[:1])
    if not asked:
        yield _clicks(popular[1:3])
        yield [*_clicks(popular[3:4]), *_buys(popular[3:4]), *_clicks(popular[4:6])]


def _clicks(items: Sequence[int]) -> list[Step]:
    return [("click", item, "") for item in items]


def _buys(items: Sequence[int]) -> list[Step]:
    return [("purchase", item, "") for item in items]


def common_queries(state: ServingState, count: int) -> list[str]:
    """The memory's most frequent queries of which no two share a word, folded; fewer where there are not so many."""
    files = state.run.memory
    if files is None or state.memory is None:
        return []
    rows = Counter[str]()
    for query, times in Counter(files.log.query.tolist()).items():
        rows[normalize_text(files.queries[query])] += times
    chosen: list[str] = []
    words: set[str] = set()
    for query in sorted(rows, key=lambda text: (-rows[text], text)):
        if query and state.memory.knows(query) and not words & set(query.split()):
            chosen.append(query)
            words |= set(query.split())
        if len(chosen) == count:
            break
    return chosen


def _name(steps: Sequence[Step], state: ServingState) -> str:
    """What a list of customers says: the first thing done, and how much came of it."""
    kind, item, query = steps[0]
    begin = f"Searched “{query}”" if kind == "search" else f"Looked at {state.pool.titles[item]}"
    rest = Counter(kind for kind, *_ in steps[1:])
    words = {"click": "clicked", "purchase": "bought", "search": "searched again"}
    more = [f"{words[kind]} {times}" if kind != "search" else words[kind] for kind, times in rest.items()]
    return ", ".join([begin, *more])
