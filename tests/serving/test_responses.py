"""The lines of a response, from a reply whose order is known."""

from collections import Counter
from types import SimpleNamespace

import numpy as np

from recbole_llmfashion.serving.messages import RecommendRequest
from recbole_llmfashion.serving.responses import response_of


def test_masked_items_leave_their_places_to_others():
    catalogue = SimpleNamespace(item_ids=tuple("abcde"), titles=tuple("ABCDE"))
    order, state = [3, 1, 4, 0, 2], SimpleNamespace(pool=SimpleNamespace(catalogue=catalogue))
    reply = SimpleNamespace(top=lambda k: order[:k], list_of=lambda item: "id", live=np.arange(5), prompt=None)
    session, request = SimpleNamespace(left_out=Counter()), RecommendRequest([], 2)
    for masked, items in ((frozenset({1, 3}), ["e", "a"]), (frozenset({1}), ["d", "e"]), (frozenset(), ["d", "b"])):
        assert [line.item for line in response_of(request, state, reply, session, masked).lines] == items
