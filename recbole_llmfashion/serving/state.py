"""The state of a service: prompt builder, memory, generator and rankers over the items that may be recommended now.

    session -> prompt (all items that ever were) -> response -> ranked lists (live items) -> positions

The builder holds removed items too, because a prompt shows what a customer clicked before they were removed, and the
lists of what a customer took read them. The memory and the generator hold live items only, and the rankers rank no
other, so nothing else can be recalled, generated or ranked. A state never changes; a change of the items makes a new
one, which reads no file and trains nothing.

A place is an item's position among the live items, or behind them for a removed one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from logging import getLogger

import numpy as np
import torch

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.embedding.sentence.vectors import KnownVectors
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.generator import item_generator
from recbole_llmfashion.llm.generation.response_cache import ResponseCache, generate_responses
from recbole_llmfashion.pipeline.item_pool import ItemPool
from recbole_llmfashion.pipeline.load import LoadedRun, run_builder, run_memory
from recbole_llmfashion.pipeline.memory_file import RESPONSES
from recbole_llmfashion.prompt.builder import Prompt, PromptBuilder, PromptRow
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.prompt.texts import item_texts
from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.lists.cosine_table import Near
from recbole_llmfashion.retrieval.lists.image_list import ImageList
from recbole_llmfashion.retrieval.lists.word_list import WordList
from recbole_llmfashion.retrieval.rankers import ItemVectors, Rankers, make_rankers
from recbole_llmfashion.retrieval.ranking import RankedBatch, Ranking, ResponseLists, RowContext
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.serving.session import Session

CACHED_QUERIES = 10_000  # queries whose neighbours the memory keeps


@dataclass(frozen=True)
class RankedReply:
    """The reply to one session.

    Args:
        ranked: the order of the live items, one row.
        lists: the ranked lists of the session's response.
        live: [n] positions of the live items.
        prompt: None where the session held no action.
        response: the LLM's; empty without a prompt.
        context: what the ranking knew beside the response.
    """

    ranked: RankedBatch
    lists: ResponseLists
    live: np.ndarray
    prompt: Prompt | None
    response: Response
    context: RowContext

    def top(self, k: int) -> list[int]:
        """Positions of the k best live items."""
        return self.live[self.ranked.final.top(k)[0].numpy()].tolist()

    def list_of(self, position: int) -> str:
        """Which list gave an item: one of `retrieval.ranking.FUSED`, clip or popularity."""
        return self.ranked.list_of(0, int(np.searchsorted(self.live, position)))


class ServingState:
    """Answers sessions over one pool of items.

    Args:
        run: the loaded run.
        pool: the items, and which of them may be recommended.
        item_tokens: the tokens that name the pool's items to the LLM; None for their IDs as text.
        before: a state of the same run; where it has the same item texts, its builder is shared.

    Raises:
        UserError: an item whose id is too long for a response, or changes how another item is written in prompts.
    """

    def __init__(
        self, run: LoadedRun, pool: ItemPool, item_tokens: ItemTokens | None, before: "ServingState | None" = None
    ) -> None:
        self.run, self.pool, self.item_tokens = run, pool, item_tokens
        self.live = np.flatnonzero(pool.live)
        self._placed = np.r_[self.live, np.flatnonzero(~pool.live)]
        self._place = np.argsort(self._placed)
        self.memory = run_memory(run, pool, pool.catalogue.tie_rank)
        same_texts = before is not None and before.pool.catalogue is pool.catalogue
        self.builder: PromptBuilder = (
            before.builder if before is not None and same_texts else run_builder(run, pool, item_tokens)
        )
        if before is not None:
            _refuse_renaming(before.builder, self.builder, pool)
        self.decoder = self.builder.decoder
        self._generator = item_generator(run.model, self.builder, run.decoding, pool.titles, self.live)
        self.response_cache = ResponseCache(self._generate, remember=False)
        self._tie = torch.from_numpy(tie_rank([pool.catalogue.item_ids[i] for i in self.live]))
        self.rankers = self._rankers()
        # a response of the evaluation is valid for the items of the evaluation only; an export has none
        if pool is run.pool and (run.responses / RESPONSES).is_file():
            constrained = run.decoding.decoding == "constrained"
            self.response_cache.load(run.responses, self.rankers.position_of if constrained else None)

    def _generate(self, prompts: Sequence[np.ndarray], on_text: Callable[[str], None] | None = None) -> list[Response]:
        return generate_responses(self._generator, prompts, self.run.num_beams, on_text=on_text)

    def _rankers(self) -> Rankers:
        run, pool, live = self.run, self.pool, self.live
        names = [self.builder.item_names[position] for position in live]

        def rows(table: np.ndarray | None, positions: np.ndarray) -> np.ndarray | None:
            return None if table is None else table[positions]

        core, clip = rows(pool.core, self._placed), rows(pool.clip, live)
        vectors = ItemVectors(pool.title[live], core, clip, rows(pool.sentences, live))
        encoders = run.encoders
        if encoders.sentences is not None and pool.sentences is not None:
            # a catalogue title is looked up
            encoders = replace(encoders, sentences=KnownVectors(encoders.sentences, pool.titles, pool.sentences))
        tie, popularity = self._tie.numpy(), pool.popularity[live]
        neighbors = words = images = None
        if run.neighbors is not None:
            neighbors = run.neighbors.among(self._placed, tie)
            texts = item_texts(pool.titles, pool.catalogue.attributes, self.builder.settings.attributes)
            words = WordList([texts[position] for position in self._placed], tie, run.neighbors.history)
            if pool.image is not None:
                images = ImageList(pool.image[self._placed], tie, run.neighbors.history)
        lists = neighbors, run.encoder, words, images
        return make_rankers(names, vectors, encoders, popularity, tie, self._near, *lists)

    def _near(self, name: str) -> Near | None:
        """The run's own index; with other items than the run's, every item is compared."""
        if self.run.ann_index == "flat" or self.pool is self.run.pool:
            return self.run.near(name)
        getLogger(__name__).warning(f"items were added or removed: the {name} list is searched without its index")
        return None

    def replies(self, sessions: Sequence[Session], stats: ResponseStats) -> list[RankedReply]:
        """Replies to sessions; popularity answers a session without an action.

        The LLM answers them together. Each is ranked alone: a matrix product of several rows may differ from that of
        one row in its last bits, which moves ties. Sampling draws for a whole batch, so sampled prompts go one by one.

        Args:
            stats: counts the responses.
        """
        rows = [self._row(session) if len(session.events) else None for session in sessions]
        prompts = [row.prompt.ids for row in rows if row]
        groups = [[ids] for ids in prompts] if self.run.decoding.decoding == "sample" else [prompts]
        responses = iter([response for group in groups if group for response in self.response_cache(group)])
        return [self._reply(row, next(responses) if row else Response(""), stats) for row in rows]

    def reply(
        self, session: Session, stats: ResponseStats, on_text: Callable[[str], None] | None = None
    ) -> RankedReply:
        """The reply to one session, the same as from `replies`.

        Args:
            on_text: called with the response so far, while it is generated token by token.
        """
        row = self._row(session) if len(session.events) else None
        return self._reply(row, self._answer(row.prompt, on_text) if row else Response(""), stats)

    def try_out(self, session: Session) -> None:
        """Generates and ranks for one session; nothing is kept or counted."""
        row = self._row(session)
        (response,) = self._generate([row.prompt.ids])
        reply = self._reply(row, response, ResponseStats())
        reply.top(1)

    def _reply(self, row: PromptRow | None, response: Response, stats: ResponseStats) -> RankedReply:
        prompt = row.prompt if row else None
        acted = self._places(prompt.items[: prompt.acted] if prompt else [])
        known = torch.tensor([row is not None and row.query_known])
        recalled, taken = (self._places(places) for places in ((row.recalled, row.taken) if row else ([], [])))
        context = RowContext(recalled, acted, taken, known)
        lists = ResponseLists(self.rankers, self._tie, [response], context)
        ranked = lists.rank(self.run.ranking_settings)
        if prompt is not None:
            stats.add(lists.parsed, ranked, self._places(prompt.items))
        return RankedReply(ranked, lists, self.live, prompt, response, context)

    def ranked_by(self, reply: RankedReply, ranking: Ranking) -> RankedBatch:
        """The lists of a reply joined by another ranking; nothing is generated again."""
        return reply.lists.rank(replace(self.run.ranking_settings, ranking=ranking))

    def search(self, query: str, k: int) -> list[int]:
        """Positions of k live items for a search: the memory's products, then the title model's order.

        Args:
            query: sanitized text; an empty one returns popular items.
        """
        if not query:
            return self._positions(self.rankers.popular(self._tie), k)
        self._bound_memory()
        products = self.memory.top_products(query) if self.memory is not None else []
        return self._positions(HeadThenRest(self._places(products) - 1, self.rankers.title_list([query])), k)

    def _positions(self, order: ItemOrder, k: int) -> list[int]:
        return self.live[order.top(k)[0].numpy()].tolist()

    def _answer(self, prompt: Prompt, on_text: Callable[[str], None] | None) -> Response:
        return self.response_cache([prompt.ids], lambda prompts: self._generate(prompts, on_text))[0]

    def _row(self, session: Session) -> PromptRow:
        self._bound_memory()
        builder = self.builder.with_queries(
            session.queries, np.arange(len(session.queries)), self.memory, session.shortened
        )
        return builder.row(session.events, session.now)

    def _bound_memory(self) -> None:
        """Keeps the memory's cache of clients' queries below a bound; one session may have any number of queries."""
        if self.memory is not None:
            self.memory.forget(above=CACHED_QUERIES)

    def _places(self, positions: Sequence[int]) -> torch.Tensor:
        """[1, n] places + 1; [[0]] where there is none."""
        places = self._place[np.asarray(positions, np.int64)] + 1
        return torch.from_numpy(places if len(places) else np.zeros(1, np.int64))[None]


def _refuse_renaming(before: PromptBuilder, after: PromptBuilder, pool: ItemPool) -> None:
    """Ids that hold marks of the tokenizer are rewritten; a new id may take the name that an old one got."""
    for i, (old, new) in enumerate(zip(before.item_names, after.item_names, strict=False)):
        if old != new:
            raise UserError(f"add: a new id would rename item '{pool.catalogue.item_ids[i]}' in prompts; rename it")
