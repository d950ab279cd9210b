"""One stock of items, ready to be asked: prompt builder, memory, trie, lists, each over what may be recommended.

    session -> builder.encode (all known items) -> answer -> rank (live items) -> items by position

The builder knows every item that was ever there, for a prompt shows what a customer clicked, gone or not. The memory,
the trie and the lists know live items alone, so nothing else can be recalled, generated or ranked. A desk is made
anew when the stock changes and never changes itself; making one reads no file and trains nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from logging import getLogger

import numpy as np
import torch

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.generator import Generator, make_generator
from recbole_llmfashion.llm.generation.response_cache import ResponseCache, generate_responses
from recbole_llmfashion.pipeline.item_pool import ItemPool
from recbole_llmfashion.pipeline.load import LoadedRun, make_builder, make_memory
from recbole_llmfashion.prompt.builder import Prompt, PromptBuilder
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.response import Response, parse_response
from recbole_llmfashion.retrieval.cosine_table import Near
from recbole_llmfashion.retrieval.id_list import IdentityList, IdList
from recbole_llmfashion.retrieval.item_order import HeadThenRest, ItemOrder
from recbole_llmfashion.retrieval.rankers import FUSED_DEPTH, Rankers
from recbole_llmfashion.retrieval.ranking import RankedBatch, Ranking, RowContext, rank
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.retrieval.title_list import TitleList
from recbole_llmfashion.serving.session import Session

REMEMBERED = 10_000  # queries whose neighbours are kept


@dataclass(frozen=True)
class RankedReply:
    """What became of a session.

    Args:
        ranked: the order of the live items, one row.
        live: [n] the position of each live item.
        prompt: None where the session held nothing to ask about.
        response: as generated.
        beams: [K] int64 places among the live items, the LLM's likeliest first; none where none were asked for.
        asked: what the ranking knew beside the answer.
    """

    ranked: RankedBatch
    live: np.ndarray
    prompt: Prompt | None
    response: str
    beams: np.ndarray
    asked: RowContext

    def top(self, k: int) -> list[int]:
        """Positions of the k best live items."""
        return self.live[self.ranked.final.top(k)[0].numpy()].tolist()

    def list_of(self, position: int) -> str:
        """Which list gave an item: beams, id, title, session, memory, clip or popularity."""
        return self.ranked.list_of(0, int(np.searchsorted(self.live, position)))


class ServingState:
    """See the module.

    Args:
        run: what does not change.
        pool: what may be recommended.
        index: what names the stock's items to the model, which knows its tokens; None for their IDs as text.
        before: a desk over the same texts whose pieces can be shared; None to tokenize every item.

    Raises:
        UserError: an item whose id is too long for a response, or changes how another item is spoken of.
    """

    def __init__(
        self, run: LoadedRun, pool: ItemPool, index: ItemTokens | None, before: "ServingState | None" = None
    ) -> None:
        self.run, self.pool, self.index = run, pool, index
        self.live = np.flatnonzero(pool.live)
        self._place = np.full(len(pool.live), -1, np.int64)
        self._place[self.live] = np.arange(len(self.live))
        tie = tie_rank(pool.catalogue.item_ids)
        self.memory = make_memory(run, pool, tie)
        same_texts = before is not None and before.pool.catalogue is pool.catalogue
        self.builder: PromptBuilder = (
            before.builder if before is not None and same_texts else make_builder(run, pool, index)
        )
        if before is not None:
            _refuse_renaming(before.builder, self.builder, pool)
        self.decoder = self.builder.decoder
        self._generator = self._make_generator()
        self.response_cache = ResponseCache(self._respond, remember=False)
        # an answer of the evaluation holds for the items of the evaluation
        if pool is run.pool:
            self.response_cache.load(run.responses)
        self._tie = torch.from_numpy(tie_rank([pool.catalogue.item_ids[i] for i in self.live]))
        self.parts = self._parts()
        self._recalls = 0

    def _make_generator(self) -> Generator:
        """Its responses name live items alone; a beam is a place among these."""
        allowed_ids, titles = self.builder.allowed_ids, self.pool.titles
        return make_generator(
            self.run.model,
            self.decoder,
            self.run.decoding,
            [allowed_ids[i] for i in self.live],
            self.builder.id_prefix.tolist(),
            [titles[i] for i in self.live],
        )

    def _respond(self, prompts: Sequence[np.ndarray], on_text: Callable[[str], None] | None = None) -> list[Response]:
        return generate_responses(self._generator, prompts, self.run.beams, on_text=on_text)

    def _parts(self) -> Rankers:
        run, pool, live, tie = self.run, self.pool, self.live, self._tie.numpy()
        tokens = self.builder.item_names
        clip, ids = None, None if pool.core is None else IdList(pool.core[live], tie, self._near("items"))
        if pool.clip is not None and run.clip is not None:
            clip = TitleList(pool.clip[live], run.clip.encode, tie, self._near("clip"))
        return Rankers(
            answer=self.response_cache,
            position_of={tokens[position]: i for i, position in enumerate(live)},
            id_list=IdentityList(tie) if ids is None else ids,
            title_list=TitleList(pool.title[live], run.title_model.encode, tie, self._near("title")),
            popularity=pool.popularity[live],
            session_list=None if ids is None else ids.sessions(),
            id_depth=1 if ids is None else FUSED_DEPTH,
            clip_list=clip,
        )

    def _near(self, name: str) -> Near | None:
        """The run's own index; of other items than the run's every one is looked at."""
        if self.run.searched == "flat" or self.pool is self.run.pool:
            return self.run.near(name)
        getLogger(__name__).warning(f"items were added or removed: the {name} list is searched without its index")
        return None

    def replies(self, sessions: Sequence[Session], validity: ResponseStats) -> list[RankedReply]:
        """Asks about all and ranks each; a session without an event is not asked about, popularity answers it.

        Only the LLM sees them side by side. A matrix of several rows may be multiplied in another order than one row,
        which moves last bits and with them ties, so each row is ranked alone; that is cheap. Sampling draws for a
        whole batch, so it is asked one by one.

        Args:
            validity: counts the answers.
        """
        asked = [self._ask(session) if len(session.events) else None for session in sessions]
        prompts = [one[0].ids for one in asked if one]
        groups = [[ids] for ids in prompts] if self.run.decoding.decoding == "sample" else [prompts]
        responses = iter([response for group in groups if group for response in self.parts.answer(group)])
        return [self._reply(one, next(responses) if one else Response(""), validity) for one in asked]

    def reply(
        self, session: Session, validity: ResponseStats, on_text: Callable[[str], None] | None = None
    ) -> RankedReply:
        """The reply to one session, as `replies` gives it.

        Args:
            on_text: told the answer as far as it has come, while one is generated word by word; see `llm.generate`.
        """
        asked = self._ask(session) if len(session.events) else None
        return self._reply(asked, self._answer(asked[0], on_text) if asked else Response(""), validity)

    def _reply(
        self, asked: tuple[Prompt, list[int], bool] | None, response: Response, validity: ResponseStats
    ) -> RankedReply:
        prompt, recalled, known = asked or (None, [], False)
        acted = self._row(prompt.items[: prompt.acted] if prompt else [])
        answers = [parse_response(response.text)]
        question = RowContext(self._row(recalled), acted, torch.tensor([known]))
        ranked = rank(self.parts, self.run.mixing, self._tie, [response], answers, question)
        if prompt is not None:
            validity.add(answers, ranked, self._row(prompt.items))
        return RankedReply(ranked, self.live, prompt, response.text, response.items, question)

    def ranked_by(self, reply: RankedReply, ranking: Ranking) -> RankedBatch:
        """What the lists of a reply give when they are joined in another way, or not joined; nothing is asked again."""
        mixing = replace(self.run.mixing, ranking=ranking)
        said = Response(reply.response, reply.beams)
        return rank(self.parts, mixing, self._tie, [said], [parse_response(reply.response)], reply.asked)

    def search(self, query: str, k: int) -> list[int]:
        """Positions of k live items for a search: the memory's products, then what the title model puts next.

        Args:
            query: a harmless text; of an empty one, what is popular is found.
        """
        if not query:
            return self._positions(self.parts.popular(self._tie), k)
        shown = self.memory.top_products(query) if self.memory is not None else []
        return self._positions(HeadThenRest(self._row(shown) - 1, self.parts.title_list([query])), k)

    def _positions(self, order: ItemOrder, k: int) -> list[int]:
        return self.live[order.top(k)[0].numpy()].tolist()

    def _answer(self, prompt: Prompt, on_text: Callable[[str], None] | None) -> Response:
        return self.response_cache([prompt.ids], lambda prompts: self._respond(prompts, on_text))[0]

    def _ask(self, session: Session) -> tuple[Prompt, list[int], bool]:
        self._recalls += 1
        if self.memory is not None and self._recalls % REMEMBERED == 0:
            self.memory.forget()
        builder = self.builder.with_queries(session.queries, np.arange(len(session.queries)), self.memory)
        recalled = builder.memory_products(session.events, training=False)
        return builder.encode(session.events, session.now, recalled), recalled, builder.knows(session.events)

    def _row(self, positions: Sequence[int]) -> torch.Tensor:
        """[1, n] places among the live items + 1, 0 for a removed one; n = 1 where there is none."""
        places = self._place[np.asarray(positions, np.int64)] + 1
        return torch.from_numpy(places if len(places) else np.zeros(1, np.int64))[None]


def _refuse_renaming(before: PromptBuilder, after: PromptBuilder, pool: ItemPool) -> None:
    """Ids that hold marks of the tokenizer are rewritten; a new id may take the name that an old one got."""
    for i, (old, new) in enumerate(zip(before.item_names, after.item_names, strict=False)):
        if old != new:
            raise UserError(f"add: a new id would rename item '{pool.catalogue.item_ids[i]}' in prompts; rename it")
