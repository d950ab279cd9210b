"""Recommender: a run folder that answers for a customer it has never seen.

    recommender = Recommender.load("saved/footwear/runs/3f0a..")
    recommender.recommend([{"action": "search", "query": "red boots", "timestamp": 1701000000}], k=10)

The main job leaves a run folder for each LLMFashionRec row (run_folder.py) and names it as `run` in results.json; it
holds the catalogue, the memory's log, the popularity, CORE's table, the title matrix, the text models, the adapter and
the settings, so that loading needs no dataset and no RecBole config.

The list is the evaluator's by construction: a session goes through data/timeline.py, prompt/builder.py, llm/answers.py
and model/ranking.py, as a test row does, and an answer that the evaluation got is given again. `mask_history` is the
one switch for both: where it is true, what the customer took is in no list, served or evaluated.

`add_items` and `remove_items` make a new desk (desk.py) and swap it in one step, so that a list belongs to one stock
and a call that fails changes nothing. They hold for this process: nothing is written. The model alone is shared by
desks: its vocabulary grows while nobody asks, and a desk that was made before says none of the new tokens.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.item_embeddings import set_item_embeddings, word_rows
from recbole_llmfashion.pipeline.item_pool import ItemPool
from recbole_llmfashion.pipeline.load import LoadedRun, load_run
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.texts import sanitize
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.serving.messages import Recommendation, RecommendRequest, RecommendResponse
from recbole_llmfashion.serving.new_item_tokens import more_names
from recbole_llmfashion.serving.session import Session, make_session
from recbole_llmfashion.serving.state import RankedReply, ServingState


@dataclass(frozen=True)
class Explanation:
    """All that became of a session, for whoever shows more than a list.

    Args:
        state: what was asked; its positions are those of the reply.
        session: as it was read.
        reply: the answer and what it was ranked by.
        masked: positions that `mask_history` leaves out of the list.
    """

    state: ServingState
    session: Session
    reply: RankedReply
    masked: frozenset[int]


class Recommender:
    """See the module. One call at a time asks the model; others wait.

    Args:
        run: a run folder in memory.
    """

    def __init__(self, run: LoadedRun) -> None:
        self._run, self._state = run, ServingState(run, run.pool, run.index)
        self._asking, self._changing = Lock(), Lock()
        self._validity, self._counts = ResponseStats(), Counter[str]()

    @classmethod
    def load(cls, run: str | Path) -> "Recommender":
        """A run folder, exported or not.

        Raises:
            UserError: it is none, is newer than this release, or a file is gone or was changed.
        """
        return cls(load_run(Path(run)))

    @property
    def run_digest(self) -> str:
        """Names the run: the digest of its manifest, and with it of every file."""
        return str(self._run.manifest.content["sha256"])

    @property
    def counts(self) -> dict[str, int]:
        """Sessions, what was left out of them, and what the answers were good for, since loading."""
        return dict(self._counts) | dict(self._validity.counts)

    @property
    def state(self) -> ServingState:
        """What answers now; a change of the items puts another one in its place."""
        return self._state

    def recommend(
        self, actions: Iterable[Any], k: int = 10, *, now: float | None = None, explain: bool = False
    ) -> list[Recommendation]:
        """The k best items for what one customer did.

        Args:
            actions: see session.py; in any order of time.
            k: items, at most as many as may be recommended.
            now: seconds, the moment of the recommendation; the last action's where none is given.
            explain: put prompt and raw response into each line.

        Raises:
            UserError: an action of another shape, k out of range.
        """
        (answer,) = self.recommend_many([RecommendRequest(actions, k, now, explain)])
        if isinstance(answer, UserError):
            raise answer
        return answer.lines

    def recommend_many(self, asked: Sequence[RecommendRequest]) -> list[RecommendResponse | UserError]:
        """The same lists as one by one; the LLM answers them together.

        Returns:
            for each, its list, or the error that `recommend` would raise; one that is wrong leaves the others alone.
        """
        with self._asking:
            state = self._state
            read = [self._read(ask, state) for ask in asked]
            good = [made for made in read if not isinstance(made, UserError)]
            replies = iter(state.replies([session for session, _ in good], self._validity))
            for session, _ in good:
                self._count(session)
        answers: list[RecommendResponse | UserError] = []
        for ask, made in zip(asked, read, strict=True):
            answers.append(made if isinstance(made, UserError) else self._listed(ask, state, next(replies), *made))
        return answers

    def _read(self, ask: RecommendRequest, state: ServingState) -> tuple[Session, frozenset[int]] | UserError:
        """The session and what its list leaves out, or what is wrong with it."""
        try:
            session = make_session(ask.actions, state.pool.positions, ask.now)
            masked = self._masked(session)
            _check_k(ask.k, int(state.pool.live.sum()), len([item for item in masked if state.pool.live[item]]))
        except UserError as error:
            return error
        return session, masked

    def _masked(self, session: Session) -> frozenset[int]:
        """Positions that `mask_history` leaves out of the session's list."""
        return frozenset(session.items() if self._run.mask_history else ())

    def _listed(
        self, ask: RecommendRequest, state: ServingState, reply: RankedReply, session: Session, masked: frozenset[int]
    ) -> RecommendResponse:
        head = reply.top(ask.k + len(masked))
        lines = [(place, item) for place, item in enumerate(head) if item not in masked]
        told = self._told(state, reply) if ask.explain else (None, None)
        return RecommendResponse(
            [_line(reply, state, place, item, *told) for place, item in lines[: ask.k]], dict(session.left_out)
        )

    def explain(
        self, actions: Iterable[Any], *, now: float | None = None, on_text: Callable[[str], None] | None = None
    ) -> Explanation:
        """As `recommend`, with everything that led to the list.

        Args:
            actions, now: as there.
            on_text: told the answer while it is generated, see `ServingState.reply`.

        Raises:
            UserError: an action of another shape.
        """
        with self._asking:
            state = self._state
            session = make_session(actions, state.pool.positions, now)
            reply = state.reply(session, self._validity, on_text)
            self._count(session)
        return Explanation(state, session, reply, self._masked(session))

    def search(self, query: str, k: int) -> list[int]:
        """What a shop's search would show: the memory's products for a query, then what the title model puts next.

        Args:
            query: as typed; of an empty one, what is popular is found.
            k: items.

        Returns:
            at most k positions in the stock of `state`, best first.
        """
        with self._asking:
            return self._state.search(sanitize(query), k)

    def _count(self, session: Session) -> None:
        self._counts.update({"sessions": 1, "empty_sessions": int(not len(session.events))})
        self._counts.update(session.left_out)

    @staticmethod
    def _told(state: ServingState, reply: RankedReply) -> tuple[str | None, str | None]:
        """The prompt as text, and the response; nothing where nothing was asked."""
        if reply.prompt is None:
            return None, None
        return state.decoder.decode(reply.prompt.ids.tolist(), clean_up_tokenization_spaces=False), reply.response

    def add_items(self, frame: pd.DataFrame) -> None:
        """New items, recommendable from the next call on; removed ones come back with the texts of the frame.

        Args:
            frame: item_id, title and any of category, brand, color, size; a row an item.

        Raises:
            UserError: a cell that is missing or wrong, an item that is there already; nothing is added then.
        """
        run, clip = self._run, self._run.clip
        with self._changing:
            before = self._state
            pool = before.pool.with_items(frame, run.title_model.encode, clip.encode if clip else None)
            self._state = ServingState(run, pool, self._name(before, pool), before)

    def _name(self, before: ServingState, pool: ItemPool) -> ItemTokens | None:
        """What names the items of a stock with more of them; the model knows their tokens then."""
        if before.index is None:
            return None
        index, tokens = more_names(self._run, before.index, before.pool, pool)
        if len(tokens):
            rows = word_rows(self._run.model, index, self._run.row_norm)[tokens - index.first]
            with self._asking:
                set_item_embeddings(self._run.model, tokens, rows)
        return index

    def remove_items(self, item_ids: Iterable[str]) -> None:
        """Items that no later call returns; they stay readable in the sessions of those who took them.

        Raises:
            UserError: an item that is not there, or none would be left; nothing is removed then.
        """
        with self._changing:
            before = self._state
            self._state = ServingState(self._run, before.pool.without(item_ids), before.index, before)


def _check_k(k: int, live: int, masked: int) -> None:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise UserError(f"k: expected a whole number from 1 on, found {k!r}")
    if k > live - masked:
        less = f", {masked} of which the customer took" if masked else ""
        raise UserError(f"k: {k} is more than the {live} items{less}; ask for fewer")


def _line(
    reply: RankedReply, state: ServingState, place: int, item: int, prompt: str | None, response: str | None
) -> Recommendation:
    catalogue = state.pool.catalogue
    score = float(len(reply.live) - place)
    return Recommendation(
        catalogue.item_ids[item], catalogue.titles[item], score, reply.list_of(item), prompt, response
    )
