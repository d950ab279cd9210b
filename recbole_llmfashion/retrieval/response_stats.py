"""Counts over responses: how many are well formed, name an item, or needed a fallback."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from recbole_llmfashion.prompt.response import ParsedResponse
from recbole_llmfashion.retrieval.ranking import RankedBatch


@dataclass
class ResponseStats:
    """Counts over responses.

    `fallback` counts the rows in which the response gave no ID list, or no title list; `memory_list` and
    `popularity_list` those in which it gave nothing that the ranking reads.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, parsed: Sequence[ParsedResponse], ranked: RankedBatch, prompt_items: Tensor) -> None:
        """Counts B responses.

        Args:
            parsed: their IDs and titles.
            ranked: what was ranked by them.
            prompt_items: [B, S] int64, the items of their prompts, positions + 1, 0 for none.
        """
        has_id, has_title = ranked.has_id, ranked.has_title
        has_memory = (ranked.recalled > 0).any(dim=1)
        self.counts.update(
            answers=len(parsed),
            format=sum(one.well_formed for one in parsed),
            valid_id=int(has_id.sum()),
            in_prompt=int((has_id & (prompt_items == ranked.positions[:, None] + 1).any(dim=1)).sum()),
            fallback=int((~has_id | ~has_title).sum()),
            no_id_list=int((~has_id & has_title).sum()),
            no_title_list=int((has_id & ~has_title).sum()),
            memory_list=int((ranked.falls_back & has_memory).sum()),
            popularity_list=int((ranked.falls_back & ~has_memory).sum()),
        )

    def rates(self) -> dict[str, float]:
        """Shares of all responses."""
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
