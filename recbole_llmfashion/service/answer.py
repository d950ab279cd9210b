"""What a replica says to the web process, which loads no model."""

from dataclasses import dataclass

from recbole_llmfashion.serving.messages import Listed


@dataclass(frozen=True)
class Answer:
    """A list, and how many sessions the LLM answered with it."""

    listed: Listed
    batch: int


@dataclass(frozen=True)
class Refusal:
    """A UserError's line."""

    text: str
