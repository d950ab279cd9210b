"""Whether a run's LLM goes on with training queries and titles word for word, given their first halves.

Decoding is greedy. What it says of texts of the same shop that are in no training row is chance.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.study.audit.measures.likelihood import Span, score
from recbole_llmfashion.study.audit.measures.sessions import Prompts
from recbole_llmfashion.study.audit.measures.training_log import TrainingLog

KNOWN = 0.5  # share of a text's tokens that the prompt ends with


@dataclass(frozen=True)
class Share:
    """Texts that were said word for word.

    Args:
        said: number of them.
        asked: number of texts.
    """

    said: int
    asked: int

    @property
    def value(self) -> float:
        """The share; 0 where nothing was asked."""
        return self.said / max(1, self.asked)

    def more_than(self, other: "Share") -> bool:
        """Whether the share is larger than another by two standard errors of the difference.

        >>> Share(50, 100).more_than(Share(30, 100)), Share(5, 100).more_than(Share(3, 100))
        (True, False)
        """
        variance = sum(one.value * (1 - one.value) / max(1, one.asked) for one in (self, other))
        return self.value - other.value > 2 * sqrt(variance)


@dataclass(frozen=True)
class Texts:
    """Texts of a shop.

    Args:
        training: in training rows.
        others: in none.
    """

    training: Sequence[str]
    others: Sequence[str]

    def sample(self, number: int, seed: int) -> "Texts":
        """At most so many of each."""
        draw = random.Random(seed)
        chosen = [draw.sample(sorted(group), min(number, len(group))) for group in (self.training, self.others)]
        return Texts(*chosen)


def training_queries(log: TrainingLog) -> set[str]:
    """The normalized queries that precede a training row of their customer."""
    ends = log.actions[log.training].groupby("user_id", sort=False)["timestamp"].max()
    of_training = (log.searches["timestamp"] < log.searches["user_id"].map(ends)).to_numpy()
    return {normalize_text(query) for query in log.searches["query"][of_training]}


def query_texts(log: TrainingLog, folder: AtomicFolder, held_out: AtomicFolder | None) -> Texts:
    """The queries of a dataset's training rows, and those of its other rows and of customers left out.

    Args:
        log: of the dataset.
        folder: the dataset.
        held_out: the other customers.
    """
    training = training_queries(log)
    every = [*folder.searches["query"], *(held_out.searches["query"] if held_out is not None else ())]
    return Texts(sorted(training), sorted({normalize_text(query) for query in every} - training))


def title_items(log: TrainingLog, folder: AtomicFolder) -> Texts:
    """The ids of products in training rows, and of products of the catalogue in no row; their titles are asked for."""
    training = set(log.actions["item_id"][log.training])
    others = set(folder.items["item_id"]) - set(folder.interactions["item_id"])
    return Texts(sorted(training), sorted(others))


def _later_half(span: Span) -> Span | None:
    """The same text with the second half of its part alone; None for one token."""
    length = span.length - int(np.ceil(KNOWN * span.length))
    return Span(span.ids, length) if length else None


def _said(prompts: Prompts, spans: Sequence[Span | None], show_progress: bool) -> Share:
    found = [span for span in spans if span is not None]
    lm = CausalLMRunner(prompts.state.run.model, prompts.state.decoder.pad_token_id)
    return Share(int(score(lm, found, show_progress).said.sum()), len(found))


def said_queries(prompts: Prompts, queries: Sequence[str], show_progress: bool = False) -> Share:
    """How many queries a prompt that ends after their first half goes on with."""
    return _said(prompts, [_later_half(span) for span in prompts.queries(queries)], show_progress)


def said_titles(prompts: Prompts, items: Sequence[str], show_progress: bool = False) -> Share:
    """How many titles a response goes on with that has the product's ID and the first half of its title.

    The prompt is that of a customer who clicked the product.
    """
    spans = []
    for item in items:
        prompt = prompts.prompt(prompts.session([{"action": "click", "item_id": item, "timestamp": prompts.now}]))
        spans.append(prompts.response_title(prompt.ids, prompts.position(item), KNOWN))
    return _said(prompts, spans, show_progress)
