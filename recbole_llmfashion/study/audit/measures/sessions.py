"""Prompts of a run's LLM without its memory: what they show comes from the session alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recbole_llmfashion.data.atomic.canaries import Canary
from recbole_llmfashion.prompt.builder import Prompt
from recbole_llmfashion.serving.session import Session, make_session
from recbole_llmfashion.serving.state import ServingState
from recbole_llmfashion.study.audit.measures.likelihood import Span

Action = Mapping[str, Any]


def search(query: str, time: float) -> Action:
    """A search as serving/session.py reads it."""
    return {"action": "search", "query": query, "timestamp": time}


def click(item: str, time: float) -> Action:
    """A click as serving/session.py reads it."""
    return {"action": "click", "item_id": item, "timestamp": time}


def purchase(item: str, time: float) -> Action:
    """A purchase as serving/session.py reads it."""
    return {**click(item, time), "action": "purchase"}


def before(canary: Canary, time: float) -> Action:
    """What customers did just before they took the canary's product."""
    return search(canary.query, time) if canary.query else purchase(canary.before, time)


@dataclass(frozen=True)
class Prompts:
    """Writes prompts and responses of a run without its memory.

    Args:
        state: of the run.
        now: seconds since 1970, the time of invented sessions.
    """

    state: ServingState
    now: float

    def session(self, actions: Sequence[Action]) -> Session:
        """The validated session."""
        return make_session(actions, self.state.pool.positions)

    def prompt(self, session: Session) -> Prompt:
        """The prompt without products of the memory."""
        numbers = np.arange(len(session.queries))
        builder = self.state.builder.with_queries(session.queries, numbers, None, session.shortened)
        return builder.row(session.events, session.now).prompt

    def of_query(self, query: str) -> np.ndarray:
        """Token ids of the prompt after one search."""
        return self.prompt(self.session([search(query, self.now)])).ids

    def of_canary(self, canary: Canary) -> np.ndarray:
        """Token ids of the prompt after what customers did before they took the canary's product."""
        return self.prompt(self.session([before(canary, self.now)])).ids

    def position(self, item: str) -> int:
        """Catalogue position of an item."""
        return self.state.pool.positions[item]

    def response_id(self, prompt: np.ndarray, position: int) -> Span:
        """The ID of an item as the response to a prompt."""
        builder = self.state.builder
        ids = builder.response_id(position)
        return Span(np.concatenate([prompt, builder.id_prefix, ids]), len(ids))

    def response_title(self, prompt: np.ndarray, position: int, known: float = 0.0) -> Span | None:
        """The title in the response to a prompt, after the item's own ID; None for a title that is one token.

        Args:
            known: share of the title's tokens that belong to what precedes the part, rounded up.
        """
        builder = self.state.builder
        response = builder.response(position)[:-1]  # without the end
        title = len(response) - len(builder.id_prefix) - len(builder.item_ids[position]) - len(builder.separator)
        length = title - int(np.ceil(known * title))
        return Span(np.concatenate([prompt, response]), length) if length > 0 else None

    def history_id(self, canary: Canary, item: str) -> Span:
        """The ID of a product in a prompt, after what customers did before they took the canary's."""
        taken = (click if canary.query else purchase)(item, self.now + 1)
        prompt = self.prompt(self.session([before(canary, self.now), taken]))
        length = len(self.state.builder.item_ids[self.position(item)])
        end = int(prompt.id_positions[-1]) + 1
        return Span(prompt.ids[:end], length)

    def history_title(self, item: str) -> Span | None:
        """The title of a click in a prompt, after the item's own ID; None where prompts show no titles."""
        prompt = self.prompt(self.session([click(item, self.now)]))
        builder, position = self.state.builder, self.position(item)
        head = len(builder.id_prefix) + len(builder.item_ids[position]) + len(builder.separator)
        title = builder.response(position)[head:-1]
        for start in range(int(prompt.id_positions[-1]) + 1, len(prompt.ids) - len(title) + 1):
            if len(title) and np.array_equal(prompt.ids[start : start + len(title)], title):
                return Span(prompt.ids[: start + len(title)], len(title))
        return None

    def queries(self, texts: Sequence[str]) -> list[Span]:
        """Each query in the prompt of a session that begins with it."""
        prompts = [self.of_query(text) for text in texts]
        start, behind = self._frame()
        return [Span(ids[: len(ids) - behind], len(ids) - behind - start) for ids in prompts]

    def before_query(self) -> np.ndarray:
        """Token ids of a prompt up to where its first query begins."""
        return self.of_query("a")[: self._frame()[0]]

    def _frame(self) -> tuple[int, int]:
        """Tokens before and behind the query in a prompt after one search."""
        one, other = self.of_query("a"), self.of_query("z z")
        least = min(len(one), len(other))
        start = next(i for i in range(least) if one[i] != other[i])
        behind = next(i for i in range(1, least) if one[-i] != other[-i]) - 1
        return start, behind
