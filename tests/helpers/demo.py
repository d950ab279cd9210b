"""A serving state without a model: six items, responses written by hand, and the real ranking code."""

from types import SimpleNamespace

import numpy as np
import torch

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.timeline import Events
from recbole_llmfashion.prompt.builder import Prompt
from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.retrieval.rankers import Rankers
from recbole_llmfashion.retrieval.ranking import RankingSettings, ResponseLists, RowContext
from recbole_llmfashion.serving.recommender import Explanation
from recbole_llmfashion.serving.session import Session
from recbole_llmfashion.serving.state import RankedReply, ServingState
from tests.helpers.fakes import hash_encoder
from tests.helpers.orders import fixed_orders

TITLES = ("Red Boots", "Blue Boots", "Black Sandals", "White Sandals", "Gilt Clutch", "Plain Socks")
IDS = ("10", "11", "12", "13", "14", "15")
QUERIES = ("Red boots", "red  boots", "sandals", "sandals", "sandals", "socks boots")
ASKERS = (3, 3, 4, 4, 4, 2)  # users who searched for each query; the first two are one
TIE = torch.arange(6)
WORDS = ["buy", " what", "\ntop", "\n- 12", "\n- 13", "\nnow"]  # decoded tokens of the prompt


def catalogue(titles=TITLES):
    brands = ("Norda", "Norda", "Vela", "Vela", "", "")
    empty = ("",) * 6
    return Catalogue(IDS, tuple(titles), {"brand": brands, "color": empty, "size": empty, "category": empty})


def order_from(*first):
    """An order of six items that starts with these."""
    return [*first, *(item for item in range(6) if item not in first)]


def by_title(titles):
    return fixed_orders([order_from(3, 2) if title else order_from() for title in titles])


class FakeState:
    """A ServingState without a model: search, lists and item names work as usual."""

    ranked_by = ServingState.ranked_by

    def __init__(self, titles=TITLES, queries=QUERIES, mask_history=False, askers=ASKERS, **mixing):
        items_of_shop = catalogue(titles)
        items = np.arange(len(queries)) % 6
        log = MemoryLog(np.zeros(len(queries), int), np.arange(len(queries)), items, np.zeros(len(queries), int))
        self.memory = QueryProductMemory(log, queries, hash_encoder, 1, 3, np.arange(6)) if queries else None
        mixed = {"ranking": "mixup", "m": 1, "k": 10, "title_start": 1, "use_memory": True, **mixing}
        content = {"model": "LLMFashionRec", "dataset": "shoes", "seed": 1, "backbone": {"name": "tiny-falcon"}}
        self.run = SimpleNamespace(
            images=None,
            ranking_settings=RankingSettings(**mixed),
            mask_history=mask_history,
            memory=SimpleNamespace(log=log, queries=tuple(queries), askers=askers) if queries else None,
            manifest=SimpleNamespace(content=content),
            decoding=SimpleNamespace(response_title="catalogue", decoding="constrained"),
        )
        self.pool = SimpleNamespace(catalogue=items_of_shop, titles=list(items_of_shop.titles))
        self.live = np.arange(6)
        self.decoder = SimpleNamespace(decode=lambda ids, **_: "".join(WORDS[i] for i in ids))
        self._tie = TIE
        self.rankers = Rankers(
            position_of={item: i for i, item in enumerate(IDS)},
            id_list=lambda positions: fixed_orders([order_from(max(0, int(p)), 5) for p in positions]),
            title_list=by_title,
            popularity=np.asarray([0, 1, 2, 3, 4, 5]),
            id_depth=2,
        )

    def search(self, query, k):
        return list(range(6))[:k] if query else [5, 4, 3, 2, 1, 0][:k]


PROMPT = Prompt(np.arange(6), [0, 2, 3], 1, np.zeros(0, np.int64), (2, 5), 0, 0)


def explained(state, text, beams=(), items=(), prompt=PROMPT, recalled=()):
    """The Explanation of a recommender for a response."""
    response = Response(text, np.asarray(beams, np.int64))
    row = torch.tensor([[item + 1 for item in recalled] or [0]])
    context = RowContext(row, *[torch.zeros((1, 1), dtype=torch.int64)] * 2, torch.tensor([False]))
    lists = ResponseLists(state.rankers, TIE, [response], context)
    reply = RankedReply(lists.rank(state.run.ranking_settings), lists, state.live, prompt, response, context)
    no_events = Events(np.zeros(0, np.int8), np.zeros(0, np.int64), np.zeros(0))
    return Explanation(state, Session(no_events, (), 0.0, {}), reply, frozenset(items))


class FakeRecommender:
    """Passes `words` to the callback, then returns the explanation."""

    def __init__(self, state, explanation=None, words=(), error=None):
        self.state, self._explanation, self._words, self._error = state, explanation, words, error
        self.sessions = []

    def search(self, query, k):
        return self.state.search(query, k)

    def explain(self, actions, *, now=None, on_text=None):
        self.sessions.append(actions)
        if self._error:
            raise self._error
        for word in self._words:
            on_text(word)
        return self._explanation
