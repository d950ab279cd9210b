"""Scores of invented ids, titles and queries in each way in which a run's LLM can be asked for them.

constrained  likelihood within the trie of the catalogue's ids; of a title, after the item's own id
sampled      how often the text is said, word for word, at temperature 1 without a constraint; an id and its title
             after the words of a response that precede an id, as in training rows
text         likelihood as the text of a prompt: what a customer's own log looks like to the model

Prompts show no product of the memory: what is measured is in the weights.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recbole_llmfashion.data.atomic.canaries import Canary, Planted
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import Generator, item_generator
from recbole_llmfashion.prompt.response import ID_PREFIX, parse_id, parse_response
from recbole_llmfashion.study.audit.measures.exposure import exposure
from recbole_llmfashion.study.audit.measures.likelihood import Span, score
from recbole_llmfashion.study.audit.measures.sessions import Prompts

ID, TITLE, QUERY = "id", "title", "query"
NO_SEARCHES = "the data has no searches; a canary is a pair of purchases"
NO_TITLES = "no sampled response of this run has a title"
CONSTRAINED, SAMPLED, TEXT = "constrained", "sampled", "text"


@dataclass(frozen=True)
class Exposures:
    """The exposure of each canary in one mode.

    Args:
        kind: id, title or query.
        mode: constrained, sampled or text.
        bits: one per canary; none where the mode is not there.
        reason: why there are none.
    """

    kind: str
    mode: str
    bits: Sequence[float]
    reason: str = ""


class CanaryModes:
    """Asks a run's LLM for canaries and candidates.

    Args:
        prompts: of the run.
        planted: the canaries; their products are in the run's catalogue.
        samples: responses to each canary's query.
        seed: of the samples.
        show_progress: whether to show progress bars.
    """

    def __init__(self, prompts: Prompts, planted: Planted, samples: int, seed: int, show_progress: bool) -> None:
        self._prompts, self._planted = prompts, planted
        self._samples, self._seed, self._show = samples, seed, show_progress
        self._run = prompts.state.run
        self._everyone = [*planted.canaries, *planted.candidates]
        self._lm = CausalLMRunner(self._run.model, prompts.state.decoder.pad_token_id)

    def measure(self) -> list[Exposures]:
        """The exposures of every kind and mode."""
        prompts = [self._prompts.of_canary(one) for one in self._everyone]
        ids_said, titles_said = self._said(prompts[: len(self._planted.canaries)])
        no_titles = "prompts of this run show no titles (prompt_item_text: False)"
        return [
            self._ranked(ID, CONSTRAINED, self._constrained_ids(prompts)),
            ids_said,
            self._ranked(ID, TEXT, self._history_ids()),
            self._alike(TITLE, CONSTRAINED, self._response_titles(prompts), "titles of one token"),
            titles_said,
            self._alike(TITLE, TEXT, [self._prompts.history_title(one.item) for one in self._everyone], no_titles),
            *self._queries(),
        ]

    def _queries(self) -> list[Exposures]:
        if self._planted.pairs:
            return [Exposures(QUERY, mode, (), NO_SEARCHES) for mode in (CONSTRAINED, SAMPLED, TEXT)]
        return [
            Exposures(QUERY, CONSTRAINED, (), "no run writes queries: the constraint knows ids alone"),
            self._alike_scores(QUERY, SAMPLED, self._sampled_queries()),
            self._alike(QUERY, TEXT, self._prompts.queries([one.query for one in self._everyone]), ""),
        ]

    def _ranked(self, kind: str, mode: str, scores: np.ndarray) -> Exposures:
        """Of scores [canaries, candidates + 1], the canary's own first."""
        return Exposures(kind, mode, [exposure(float(row[0]), row[1:]) for row in scores])

    def _alike_scores(self, kind: str, mode: str, scores: np.ndarray) -> Exposures:
        """Of one score for each canary, then for each candidate: what is asked is the same for all of them."""
        own = len(self._planted.canaries)
        return Exposures(kind, mode, [exposure(float(one), scores[own:]) for one in scores[:own]])

    def _alike(self, kind: str, mode: str, spans: Sequence[Span | None], reason: str) -> Exposures:
        found = [span for span in spans if span is not None]
        if len(found) < len(spans):
            return Exposures(kind, mode, (), reason)
        return self._alike_scores(kind, mode, score(self._lm, found, self._show).log_likelihood)

    def _table(self, of: Callable[[Canary, Canary], float]) -> np.ndarray:
        """[canaries, candidates + 1] of a canary and each product that may follow its prompt, its own first."""
        rows = [[of(one, other) for other in (one, *self._planted.candidates)] for one in self._planted.canaries]
        return np.asarray(rows, np.float64)

    def _constrained_ids(self, prompts: Sequence[np.ndarray]) -> np.ndarray:
        """The log-probability of each id within the trie of canaries and candidates, after the canary's prompt."""
        state, positions = self._prompts.state, [self._prompts.position(one.item) for one in self._everyone]
        settings = replace(self._run.decoding, decoding="constrained", response_title="generated")
        generator = item_generator(self._run.model, state.builder, settings, state.pool.titles, positions)
        own = prompts[: len(self._planted.canaries)]
        items, scores = generator.best(own, len(positions), self._show)
        found = np.full_like(scores, -np.inf)
        np.put_along_axis(found, items, scores, 1)
        place = {one.item: i for i, one in enumerate(self._everyone)}
        number = {one.item: i for i, one in enumerate(self._planted.canaries)}
        return self._table(lambda one, other: float(found[number[one.item], place[other.item]]))

    def _said(self, prompts: Sequence[np.ndarray]) -> tuple[Exposures, Exposures]:
        """How often samples of the response to a canary's prompt hold an id, and a title, as exposures."""
        builder = self._prompts.state.builder
        repeated = [np.concatenate([ids, builder.id_prefix]) for ids in prompts for _ in range(self._samples)]
        texts = iter(self._sampler(self._run.decoding.max_new_tokens)(repeated, self._show))
        ids, titles, names = [], [], builder.item_names
        for _ in prompts:
            drawn = [next(texts) for _ in range(self._samples)]
            ids.append(Counter(map(parse_id, drawn)))
            titles.append(Counter(parse_response(ID_PREFIX + text).title for text in drawn))
        number = {one.item: i for i, one in enumerate(self._planted.canaries)}
        of_ids = self._table(lambda one, other: ids[number[one.item]][names[self._prompts.position(other.item)]])
        of_titles = self._table(lambda one, other: titles[number[one.item]][other.title])
        written = any(title is not None for found in titles for title in found)
        by_title = self._ranked(TITLE, SAMPLED, of_titles) if written else Exposures(TITLE, SAMPLED, (), NO_TITLES)
        return self._ranked(ID, SAMPLED, of_ids), by_title

    def _sampled_queries(self) -> np.ndarray:
        """How often a prompt that ends where a query begins goes on with each query."""
        before = self._prompts.before_query()
        longest = max(span.length for span in self._prompts.queries([one.query for one in self._everyone]))
        draws = self._samples * len(self._planted.canaries)
        texts = [text.strip().lower() for text in self._sampler(longest)([before] * draws, self._show)]
        return np.asarray([sum(text.startswith(one.query) for text in texts) for one in self._everyone], np.float64)

    def _sampler(self, max_new_tokens: int) -> Generator:
        settings = DecodingSettings(
            decoding="sample",
            max_new_tokens=max_new_tokens,
            temperature=1.0,
            top_p=1.0,
            batch_size=self._run.decoding.batch_size,
            seed=self._seed,
        )
        return Generator(self._run.model, self._prompts.state.decoder, settings)

    def _history_ids(self) -> np.ndarray:
        """The log-likelihood of each product's id in a history, where the canary's own one is."""
        pairs = [(one, other) for one in self._planted.canaries for other in (one, *self._planted.candidates)]
        spans = [self._prompts.history_id(one, other.item) for one, other in pairs]
        found = score(self._lm, spans, self._show).log_likelihood
        return found.reshape(len(self._planted.canaries), -1)

    def _response_titles(self, prompts: Sequence[np.ndarray]) -> list[Span | None]:
        """Each product's title after its own prompt and its own id."""
        return [
            self._prompts.response_title(ids, self._prompts.position(one.item))
            for one, ids in zip(self._everyone, prompts, strict=True)
        ]
