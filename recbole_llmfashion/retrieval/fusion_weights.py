"""The weights of fused lists, chosen on validation rows.

Coordinate ascent: one list's weight after another is set to the best of WEIGHTS, until a round changes none. The rows
are in two halves by user. A change counts only if it raises NDCG@10 over all rows and lowers that of neither half, so
that a gain which only some users have is not taken. At last a list without which neither half is lower gets 0.

The weights are chosen for all rows first, and from there for each group of rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from recbole_llmfashion.retrieval.fusion import CONSTANT

WEIGHTS = (0.0, *(round(2 ** (step / 4), 4) for step in range(-12, 13)))  # 0, and 1/8 to 8 in steps of 2 ** (1/4)
ROUNDS = 5  # most rounds of coordinate ascent
AT = 10  # k of NDCG@k
HALVES = 2


@dataclass(frozen=True)
class ChosenWeights:
    """The weights of each group, and what they were chosen by.

    Args:
        weights: group -> list -> weight.
        report: group -> rows of each half, and NDCG@10 of each half by equal weights and by the chosen ones.
    """

    weights: dict[str, dict[str, float]]
    report: dict[str, dict[str, Any]]


class Candidates:
    """The unweighted scores of the listed items of many rows and their targets.

    A row whose target is in no list has NDCG 0 with any weights; it is counted and not kept.

    Args:
        names: of the lists.
        groups: names of the groups of rows.
    """

    def __init__(self, names: Sequence[str], groups: Sequence[str]) -> None:
        self.names, self.groups = tuple(names), tuple(groups)
        self._terms: list[np.ndarray] = []
        self._targets: list[int] = []  # the target's place among the items of its row
        self._kept: list[tuple[int, int]] = []  # group and half of each row that is kept
        self.rows = np.zeros((len(groups), HALVES), np.int64)

    def add(self, lists: Mapping[str, Tensor], targets: Tensor, groups: Tensor, halves: Tensor, masked: Tensor) -> None:
        """Add B rows.

        Args:
            lists: as in `fused_scores`.
            targets: [B] int64 positions.
            groups: [B] int64, index of each row's group.
            halves: [B] int64, 0 or 1.
            masked: [B, X] positions that the evaluation leaves out of the fused order, -1 for none.
        """
        columns = [lists[name].numpy() for name in self.names]
        for row, target in enumerate(targets.tolist()):
            group, half = int(groups[row]), int(halves[row])
            self.rows[group, half] += 1
            row_lists = [positions[row] for positions in columns]
            items = np.unique(np.concatenate(row_lists))
            items = items[items >= 0]
            place = int(np.searchsorted(items, target))
            if place == len(items) or items[place] != target:
                continue
            terms = np.zeros((len(items), len(self.names)), np.float32)
            for column, positions in enumerate(row_lists):
                ranks = np.flatnonzero(positions >= 0)
                terms[np.searchsorted(items, positions[ranks]), column] = 1 / (CONSTANT + 1 + ranks)
            terms[np.isin(items, masked[row].numpy())] = 0  # an item without a score is behind the target
            self._terms.append(terms)
            self._targets.append(place)
            self._kept.append((group, half))

    def choose(self) -> ChosenWeights:
        """The weights of each group: those of all rows where no list holds a target of the group; equal without any."""
        every = _Part(self, range(len(self.groups)))
        equal = np.ones(len(self.names))
        shared = every.ascend(equal) if every.listed else equal
        weights, report = {}, {}
        for index, group in enumerate(self.groups):
            part = _Part(self, [index])
            chosen = part.ascend(shared) if part.listed else shared
            weights[group] = dict(zip(self.names, chosen.tolist(), strict=True))
            before, after = (part.ndcg(values).tolist() for values in (equal, chosen))
            report[group] = {"rows": self.rows[index].tolist(), "equal": before, "chosen": after}
        return ChosenWeights(weights, report)


class _Part:
    """The rows of some groups.

    Args:
        candidates: of all groups.
        groups: indices of groups.

    Attributes:
        listed: whether the target of some row is in a list.
    """

    def __init__(self, candidates: Candidates, groups: Sequence[int]) -> None:
        kept = [row for row, (group, _) in enumerate(candidates._kept) if group in groups]
        self.listed = len(kept) > 0
        terms = [candidates._terms[row] for row in kept]
        self._counts = np.asarray([len(one) for one in terms], np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        self._terms = np.concatenate([np.zeros((0, len(candidates.names)), np.float32), *terms])
        self._target = self._starts + np.asarray([candidates._targets[row] for row in kept], np.int64)
        self._half = np.asarray([candidates._kept[row][1] for row in kept], np.int64)
        self._rows = candidates.rows[list(groups)].sum(axis=0)
        self.total = int(self._rows.sum())

    def ndcg(self, weights: np.ndarray) -> np.ndarray:
        """[2] mean NDCG@10 of each half; items with the target's score count as ranked before it."""
        if not len(self._starts):
            return np.zeros(HALVES)
        scores = self._terms @ weights.astype(np.float32)
        own = scores[self._target]
        rank = np.add.reduceat((scores >= np.repeat(own, self._counts)).astype(np.int32), self._starts)
        gain = np.where((own > 0) & (rank <= AT), 1 / np.log2(rank + 1), 0.0)
        return np.bincount(self._half, gain, HALVES) / np.maximum(self._rows, 1)

    def _mean(self, halves: np.ndarray) -> float:
        return float(halves @ self._rows) / max(1, self.total)

    def ascend(self, start: np.ndarray) -> np.ndarray:
        """The weights after coordinate ascent from `start`."""
        return self._without_idle(self._moved(start))

    def _moved(self, start: np.ndarray) -> np.ndarray:
        weights, best = start.copy(), self.ndcg(start)
        for _ in range(ROUNDS):
            before = weights.copy()
            for column in range(len(weights)):
                weights[column], best = self._best_of(weights, column, best)
            if np.array_equal(before, weights):
                break
        return weights

    def _best_of(self, weights: np.ndarray, column: int, best: np.ndarray) -> tuple[float, np.ndarray]:
        """The best value of one weight and its NDCG; the value that it has where no other is better."""
        value = float(weights[column])
        for trial in WEIGHTS:
            halves = self.ndcg(np.where(np.arange(len(weights)) == column, trial, weights))
            if (halves >= best).all() and self._mean(halves) > self._mean(best):
                value, best = trial, halves
        return value, best

    def _without_idle(self, weights: np.ndarray) -> np.ndarray:
        """The weights with 0 for each list that adds nothing, the last lists first; one list keeps its weight."""
        kept, best = weights.copy(), self.ndcg(weights)
        for column in reversed(range(len(weights))):
            trial = kept.copy()
            trial[column] = 0
            if trial.any() and ((halves := self.ndcg(trial)) >= best).all():
                kept, best = trial, halves
        return kept
