"""Counts over responses: nothing that went wrong is silent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from recbole_llmfashion.prompt.response import ParsedResponse
from recbole_llmfashion.retrieval.ranking import RankedBatch


@dataclass
class ResponseStats:
    """Counts over answers: nothing that went wrong is silent.

    `fallback` counts the rows in which at least one list could not be made from the answer.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, answers: Sequence[ParsedResponse], ranked: RankedBatch, shown: Tensor) -> None:
        """Counts B answers; `shown` [B, S] int64 are the items of their prompts, positions + 1, 0 for none."""
        has_id, has_title = ranked.has_id, ranked.has_title
        neither = ~has_id & ~has_title
        has_memory = (ranked.recalled > 0).any(dim=1)
        self.counts.update(
            answers=len(answers),
            format=sum(answer.well_formed for answer in answers),
            valid_id=int(has_id.sum()),
            in_prompt=int((has_id & (shown == ranked.positions[:, None] + 1).any(dim=1)).sum()),
            fallback=int((~has_id | ~has_title).sum()),
            no_id_list=int((~has_id & has_title).sum()),
            no_title_list=int((has_id & ~has_title).sum()),
            memory_list=int((neither & has_memory).sum()),
            popularity_list=int((neither & ~has_memory).sum()),
        )

    def rates(self) -> dict[str, float]:
        """Shares of all answers, and what each fallback did."""
        total = max(1, self.counts["answers"])
        names = (
            "format",
            "valid_id",
            "fallback",
            "in_prompt",
            "no_id_list",
            "no_title_list",
            "memory_list",
            "popularity_list",
        )
        return {f"{name}_rate": self.counts[name] / total for name in names}
