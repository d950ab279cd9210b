"""Whether a run tells the customers of its training rows from others of the same shop.

For each customer the last training row is taken: the item action before the rows of validation and test, after what
the customer did before. AUC is the probability that a random training customer looks more familiar (a lower loss, a
better rank) than a random other one; one half is chance.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd
import torch

from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.serving.session import Session, make_session
from recbole_llmfashion.serving.state import ServingState
from recbole_llmfashion.study.audit.measures.likelihood import score
from recbole_llmfashion.study.audit.measures.sessions import Action, Prompts, search
from recbole_llmfashion.study.audit.measures.training_log import TrainingLog


@dataclass(frozen=True)
class Row:
    """A customer's last training row.

    Args:
        session: before the target.
        target: catalogue position.
    """

    session: Session
    target: int


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve, and its standard error (Hanley and McNeil 1982)."""

    value: float
    error: float

    @property
    def tells(self) -> bool:
        """Whether the area is more than two standard errors above one half."""
        return self.value - 2 * self.error > 0.5


def auc(members: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray) -> Auc:
    """Of scores that are lower for members.

    >>> auc([1.0, 2.0], [2.0, 3.0]).value  # of four pairs, three are in order and one is a tie
    0.875
    """
    ours, theirs = np.asarray(members, np.float64), np.asarray(others, np.float64)
    below = (ours[:, None] < theirs).mean() + (ours[:, None] == theirs).mean() / 2
    area, first, second = float(below), len(ours), len(theirs)
    one, both = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (first - 1) * (one - area**2) + (second - 1) * (both - area**2)
    return Auc(area, sqrt(max(0.0, variance / (first * second))))


def last_rows(log: TrainingLog, state: ServingState, number: int, seed: int, without: set[str]) -> list[Row]:
    """The last training rows of random customers, but for rows whose target the run does not know.

    Args:
        log: of a dataset, or of customers who were left out of it.
        state: of the run; gives the positions of the items.
        number: of customers, at most.
        seed: of the choice.
        without: items whose customers are left out.
    """
    actions = log.actions
    users, names = pd.factorize(actions["user_id"])
    touched = set(users[actions["item_id"].isin(without).to_numpy()].tolist())
    last: dict[int, int] = {}
    for place in np.flatnonzero(log.training):
        last[int(users[place])] = int(place)
    starts = np.searchsorted(users, np.arange(len(names)))
    known = actions["item_id"].isin(set(state.pool.positions)).to_numpy()
    able = [user for user, place in last.items() if user not in touched and known[place]]
    chosen = random.Random(seed).sample(able, min(number, len(able)))
    searches = {str(user): rows for user, rows in log.searches.groupby("user_id", sort=False)}
    columns = zip(actions["item_id"], actions["action"], actions["timestamp"], strict=True)
    cells = [{"item_id": item, "action": action, "timestamp": time} for item, action, time in columns]
    return [
        _row(cells[starts[user] : last[user] + 1], searches.get(str(names[user])), state) for user in sorted(chosen)
    ]


def _row(actions: Sequence[Action], searches: pd.DataFrame | None, state: ServingState) -> Row:
    *before, target = actions
    now = float(target["timestamp"])
    found: list[Action] = list(before)
    if searches is not None:
        pairs = zip(searches["query"], searches["timestamp"], strict=True)
        found += [search(query, time) for query, time in pairs if time < now]
    return Row(make_session(found, state.pool.positions, now), state.pool.positions[str(target["item_id"])])


def losses(prompts: Prompts, rows: Sequence[Row], show_progress: bool = False) -> np.ndarray:
    """[n] the LLM's loss on the target's ID, after the prompt without products of the memory."""
    lm = CausalLMRunner(prompts.state.run.model, prompts.state.decoder.pad_token_id)
    spans = [prompts.response_id(prompts.prompt(row.session).ids, row.target) for row in rows]
    return -score(lm, spans, show_progress).log_likelihood


def ranks(state: ServingState, rows: Sequence[Row]) -> np.ndarray:
    """[n] the target's place in the served list, from 1."""
    none = torch.full((1, 1), -1)
    replies = state.replies([row.session for row in rows], ResponseStats())
    found = [
        1 + int(reply.ranked.final.count_before(torch.tensor([row.target]), none))
        for row, reply in zip(rows, replies, strict=True)
    ]
    return np.asarray(found, np.int64)
