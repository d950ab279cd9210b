"""Recommendations for sessions of new customers, from a run folder.

    recommender = Recommender.from_pretrained("saved/footwear/runs/3f0a..")
    recommender.recommend([{"action": "search", "query": "red boots", "timestamp": 1701000000}], k=10)

The main job saves a run folder for each LLMFashionRec row (pipeline/save.py); its path is `run` in results.json. It
holds the catalogue, the memory's log, the popularity counts, CORE's embedding table, the title matrix, the text
models, the adapter and the settings, so loading needs neither the dataset nor a RecBole config.

A session goes through the same timeline, prompt builder, response cache and ranking as a test row of the evaluation,
and a prompt that the evaluation has sent gets its stored response. `mask_history` applies to both: if true, items of
the session are left out of the list.

`add_items`, `remove_items` and `change_items` build a new `ServingState` and replace the current one in a single
assignment: each list is computed from one set of items, and a change that fails changes nothing. Changes last for the
life of the process; nothing is written to disk. All states share the model. Its vocabulary grows between requests, and
an older state never generates the new tokens.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, TypeVar

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.checks.entries import reading
from recbole_llmfashion.pipeline.export import check_repository, export_run, find_run, upload_run
from recbole_llmfashion.pipeline.load import LoadedRun, load_run
from recbole_llmfashion.prompt.texts import sanitize
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.serving.messages import Recommendation, RecommendRequest, RecommendResponse
from recbole_llmfashion.serving.next_items import ChangeError, ItemChange, NextItems
from recbole_llmfashion.serving.responses import check_k, left_out, response_of
from recbole_llmfashion.serving.session import Session, make_session
from recbole_llmfashion.serving.state import RankedReply, ServingState

Made = TypeVar("Made")


@dataclass(frozen=True)
class Explanation:
    """A session with everything that led to its list: prompt, response and intermediate rankings.

    Args:
        state: the serving state that was used; positions in `reply` refer to it.
        session: the validated session.
        reply: the response and its rankings.
        masked: catalogue positions that `mask_history` leaves out of the list.
    """

    state: ServingState
    session: Session
    reply: RankedReply
    masked: frozenset[int]


class Recommender:
    """Recommends items for sessions with the models of one run folder.

    Thread-safe: calls to the model run one at a time, further calls wait.

    Args:
        run: the loaded run folder.

    Example:
        ::

            recommender = Recommender.from_pretrained("saved/footwear/runs/3f0a..")
            actions = [{"action": "search", "query": "red boots", "timestamp": 1701000000}]
            for line in recommender.recommend(actions, k=10):
                print(line.item, line.title)
    """

    def __init__(self, run: LoadedRun) -> None:
        self._run, self._state = run, ServingState(run, run.pool, run.item_tokens)
        self._model_lock, self._items_lock = Lock(), Lock()
        self._validity, self._counts = ResponseStats(), Counter[str]()

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, *, revision: str | None = None, token: str | None = None, min_askers: int = 1
    ) -> "Recommender":
        """Loads a run: a folder, either as saved by the main job or as exported, or an export on the hub.

        Args:
            name_or_path: the folder, or the name of a repository; a folder needs no network.
            revision: branch, tag or commit of the repository.
            token: for a private repository; None for the stored one.
            min_askers: the memory leaves out queries that fewer users searched for, and the neighbors' list pairs of
                items of fewer users; with 1, lists are those of the evaluation.

        Raises:
            UserError: there is no such folder or repository, the folder is not a run folder, was written by a newer
                release, a file is missing, modified or wrong, or the run cannot answer a question.
        """
        folder = find_run(name_or_path, revision, token)
        loaded = load_run(folder, min_askers=min_askers)
        with reading(folder):
            recommender = cls(loaded)
            recommender._try_out()
        return recommender

    def push_to_hub(self, repo_id: str, *, private: bool = True, token: str | None = None, min_askers: int = 5) -> str:
        """Exports the run, and uploads the export with its model card as one commit of a repository on the hub.

        Args:
            repo_id: owner/name; made if there is none.
            private: whether only its owner may read the repository.
            token: with the right to write; None for the stored one.
            min_askers: as for `export_run`.

        Returns:
            the address of the commit.

        Raises:
            UserError: items were added or removed, the repository exists and is public though `private` is true, or
                the hub refuses.
        """
        check_repository(repo_id)
        if self._state.pool is not self._run.pool:
            raise UserError(
                f"push_to_hub: items of {self._run.manifest.folder} were added or removed in this process, and a run "
                "folder holds no such change; load the run again and push that one"
            )
        with TemporaryDirectory() as place:
            export_run(self._run.manifest.folder, Path(place) / "run", min_askers)
            return upload_run(Path(place) / "run", repo_id, private, token)

    def _try_out(self) -> None:
        """Answers one session without its stored response, so that a run that cannot answer fails when it is loaded."""
        state = self._state
        now = 1_700_000_000.0
        actions = [
            {"action": "search", "query": state.pool.titles[0], "timestamp": now},
            {"action": "click", "item_id": state.pool.catalogue.item_ids[0], "timestamp": now + 1},
        ]
        state.try_out(make_session(actions, state.pool.positions, None))

    @property
    def memory_note(self) -> str:
        """One line if the memory answers queries that one user alone searched for; empty otherwise."""
        rare = self.memory_queries[1]
        note = f"the memory answers {rare} queries that one user alone searched for (min_askers=1)"
        return note if rare else ""

    @property
    def memory_queries(self) -> tuple[int, int]:
        """How many queries the memory holds, and how many of them one user alone searched for."""
        askers = self._run.memory.askers if self._run.memory is not None else ()
        return len(askers), sum(count == 1 for count in askers)

    @property
    def run_digest(self) -> str:
        """SHA-256 of the manifest, which lists the digest of every file; identifies the run."""
        return self._run.manifest.digest

    @property
    def counts(self) -> dict[str, int]:
        """Counts since loading: sessions, actions left out, and how many responses were valid."""
        return dict(self._counts) | dict(self._validity.counts)

    @property
    def state(self) -> ServingState:
        """The current serving state; each change of the items replaces it."""
        return self._state

    def recommend(
        self, actions: Iterable[Any], k: int = 10, *, now: float | None = None, explain: bool = False
    ) -> list[Recommendation]:
        """The k best items for the session of one customer.

        Args:
            actions: mappings as described in serving/session.py; they may come in any order of time.
            k: number of items, at most the number of recommendable items.
            now: time of the recommendation in seconds since 1970; default: the time of the last action.
            explain: add the prompt and the raw response to each line.

        Raises:
            UserError: an action is malformed or k is out of range.
        """
        (response,) = self.recommend_many([RecommendRequest(actions, k, now, explain)])
        if isinstance(response, UserError):
            raise response
        return response.lines

    def recommend_many(self, requests: Sequence[RecommendRequest]) -> list[RecommendResponse | UserError]:
        """Several sessions in one batch of the LLM, with the same lists as one call of `recommend` each.

        Returns:
            one entry per request: its list, or the error that `recommend` would raise. An invalid request does not
            affect the others.
        """
        with self._model_lock:
            state = self._state
            sessions = [self._session(request, state) for request in requests]
            valid = [entry for entry in sessions if not isinstance(entry, UserError)]
            replied = state.replies([session for session, _ in valid], self._validity)
            for (session, _), reply in zip(valid, replied, strict=True):
                self._count(session, reply)
        replies = iter(replied)
        return [
            entry if isinstance(entry, UserError) else response_of(request, state, next(replies), *entry)
            for request, entry in zip(requests, sessions, strict=True)
        ]

    def _session(self, request: RecommendRequest, state: ServingState) -> tuple[Session, frozenset[int]] | UserError:
        """The validated session and the masked positions, or the error."""
        try:
            session = make_session(request.actions, state.pool.positions, request.now)
            masked = self._masked(session)
            check_k(request.k, int(state.pool.live.sum()), len([item for item in masked if state.pool.live[item]]))
        except UserError as error:
            return error
        return session, masked

    def _masked(self, session: Session) -> frozenset[int]:
        """Catalogue positions that `mask_history` leaves out of the session's list."""
        return frozenset(session.items() if self._run.mask_history else ())

    def explain(
        self, actions: Iterable[Any], *, now: float | None = None, on_text: Callable[[str], None] | None = None
    ) -> Explanation:
        """Like `recommend`, but returns everything that led to the list.

        Args:
            actions: as in `recommend`.
            now: as in `recommend`.
            on_text: callback that receives the response text while it is generated, see `ServingState.reply`.

        Raises:
            UserError: an action is malformed.
        """
        with self._model_lock:
            state = self._state
            session = make_session(actions, state.pool.positions, now)
            reply = state.reply(session, self._validity, on_text)
            self._count(session, reply)
        return Explanation(state, session, reply, self._masked(session))

    def search(self, query: str, k: int) -> list[int]:
        """Shop search: the memory's products for the query first, then the nearest items of the title model.

        Args:
            query: as typed; an empty query returns the most popular items.
            k: number of items.

        Returns:
            at most k catalogue positions of `state.pool`, best first.
        """
        with self._model_lock:
            return self._state.search(sanitize(query), k)

    def _count(self, session: Session, reply: RankedReply) -> None:
        self._counts.update({"sessions": 1, "empty_sessions": int(not len(session.events))})
        self._counts.update(left_out(session, reply))

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes of an item: category, brand, color, size, and further ones that the run's prompts show."""
        return tuple(self._state.pool.catalogue.attributes)

    def add_items(self, frame: pd.DataFrame) -> None:
        """Adds items, which can be recommended from the next call on.

        An item that was removed before becomes available again, with the texts of the frame.

        Args:
            frame: one row per item, with item_id, title and any of `attributes`.

        Raises:
            UserError: a column is unknown, a cell is missing or invalid, or an item already exists; nothing is added.
        """
        self._change(lambda items: items.add(frame))

    def remove_items(self, item_ids: Iterable[str]) -> None:
        """Removes items: no later call returns them, but sessions that contain them are still read.

        Raises:
            UserError: an item does not exist, or no item would be left; nothing is removed.
        """
        self._change(lambda items: items.remove(item_ids))

    def change_items(self, changes: Sequence[ItemChange]) -> None:
        """Makes changes in order: the lists are those after one call each, and are built once.

        Args:
            changes: a frame as for `add_items`, or ids as for `remove_items`, each.

        Raises:
            ChangeError: one cannot be made; those before it are made.
            UserError: the lists cannot be built, see `ServingState`; nothing is changed.
        """
        made, error = self._change(lambda items: items.make(changes))
        if error is not None:
            raise ChangeError(made) from error

    def _change(self, make: Callable[[NextItems], Made]) -> Made:
        with self._items_lock:
            items = NextItems(self._state)
            result = make(items)
            self._state = items.state(self._model_lock)
        return result
