"""The weights of fused lists, chosen on validation rows.

Coordinate ascent: one list's weight after another is set to the best of WEIGHTS, until a round changes none. The rows
are in two halves by user. A change counts only if it raises NDCG@10 over all rows and lowers that of neither half, so
that a gain which only some users have is not taken. At last a list without which neither half is lower gets 0.

NDCG is flat almost everywhere, so the ascent ends near its start. It starts at the most likely weights of a conditional
logit (McFadden, 1974): p(target) = exp(score) / sum of exp(score) over the listed items of the row, which has one
optimum. Where these weights are no gain, or one that a half loses by, it starts at equal weights.

The weights are chosen for all rows first, and from there for each group of rows. A row of 420 listed items takes 14 KB,
and three times that at the peak, so the caller adds MOST_ROWS at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from torch import Tensor

from recbole_llmfashion.retrieval.fusion import TAKEN, equal_weights, list_terms

WEIGHTS = (0.0, *(round(2 ** (step / 4), 4) for step in range(-12, 13)))  # 0, and 1/8 to 8 in steps of 2 ** (1/4)
SIGNED = tuple(sorted({*WEIGHTS, *(-weight for weight in WEIGHTS)}))  # of TAKEN
LARGEST = 4.0  # the largest weight that the ascent may start with; the next larger ones are open to it
PENALTY = 1e-3  # of the squared weights of the logit, each times the root mean square of its terms
ROUNDS = 5  # most rounds of coordinate ascent
AT = 10  # k of NDCG@k
HALVES = 2
MOST_ROWS = 25_000  # validation rows that weights are chosen on, at most: 1 GB at the peak


@dataclass(frozen=True)
class ChosenWeights:
    """The weights of each group, and what they were chosen by.

    Args:
        weights: group -> list -> weight.
        report: group -> rows of each half that were added, and NDCG@10 of each half by equal weights and by the chosen
            ones.
    """

    weights: dict[str, dict[str, float]]
    report: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Rows:
    """R rows whose target is listed.

    Args:
        terms: [sum of counts, lists] float32 of the items that some list of the row holds, row by row.
        counts: [R] number of these items.
        places: [R] the target's place among them.
        groups, halves: [R] of each row.
    """

    terms: np.ndarray
    counts: np.ndarray
    places: np.ndarray
    groups: np.ndarray
    halves: np.ndarray

    def of(self, groups: Sequence[int]) -> "_Rows":
        """The rows of some groups."""
        rows = np.isin(self.groups, groups)
        parts = (self.counts, self.places, self.groups, self.halves)
        return _Rows(self.terms[np.repeat(rows, self.counts)], *(part[rows] for part in parts))


def _numbers(items: np.ndarray, width: int) -> np.ndarray:
    """[B, X] row * width + item, -1 where there is no item."""
    return np.where(items < 0, -1, np.arange(len(items))[:, None] * width + items)


class Candidates:
    """The unweighted scores of the listed items of many rows and their targets.

    A row whose target is in no list has NDCG 0 with any weights; it is counted and not kept.

    Args:
        names: of the lists.
        groups: names of the groups of rows.
    """

    def __init__(self, names: Sequence[str], groups: Sequence[str]) -> None:
        self.names, self.groups = tuple(names), tuple(groups)
        self._kept: list[_Rows] = []
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
        np.add.at(self.rows, (groups.numpy(), halves.numpy()), 1)
        columns = [lists[name].numpy() for name in self.names]
        width = 1 + max(int(part.max(initial=-1)) for part in (*columns, targets.numpy(), masked.numpy()))
        rows = np.arange(len(targets))
        left_out = _numbers(masked.numpy(), width)
        numbers = [_numbers(column, width) for column in columns]
        items = np.setdiff1d(np.concatenate([part.ravel() for part in numbers]), np.append(left_out, -1))
        terms = self._terms_of(items, numbers)
        of_targets = rows * width + targets.numpy()
        place = np.searchsorted(items, of_targets)
        kept = np.isin(of_targets, items)
        row = items // width if width else items
        counts, first = np.bincount(row, minlength=len(rows)), np.searchsorted(row, rows)
        chosen = kept[row]
        self._kept.append(
            _Rows(terms[chosen], counts[kept], (place - first)[kept], groups.numpy()[kept], halves.numpy()[kept])
        )

    def _terms_of(self, items: np.ndarray, numbers: Sequence[np.ndarray]) -> np.ndarray:
        """[items, lists] float32: what each list adds to each item by a weight of 1.

        Args:
            items: ascending numbers of the listed items of all rows.
            numbers: the lists by these numbers.
        """
        terms = np.zeros((len(items), len(self.names)), np.float32)
        for column, (name, part) in enumerate(zip(self.names, numbers, strict=True)):
            listed = np.isin(part, items)
            values = np.broadcast_to(list_terms(name, part.shape[1]), part.shape)
            terms[np.searchsorted(items, part[listed]), column] = values[listed]
        return terms

    def choose(self) -> ChosenWeights:
        """The weights of each group: those of all rows where no list holds a target of the group; equal without any."""
        every = _Part(self, range(len(self.groups)))
        equal = np.array(list(equal_weights(self.names).values()))
        shared = every.ascend(every.start(equal)) if every.listed else equal
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
        empty = np.zeros(0, np.int64)
        none = _Rows(np.zeros((0, len(candidates.names)), np.float32), empty, empty, empty, empty)
        kept = [none, *(rows.of(groups) for rows in candidates._kept)]
        self._terms, self._counts, places, _, self._half = (
            np.concatenate(parts) for parts in zip(*(vars(rows).values() for rows in kept), strict=True)
        )
        self._starts = np.cumsum(self._counts) - self._counts
        self._target = self._starts + places
        self._grids = [SIGNED if name == TAKEN else WEIGHTS for name in candidates.names]
        self.listed = len(self._counts) > 0
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

    def start(self, equal: np.ndarray) -> np.ndarray:
        """Where the ascent starts: the logit's weights on the grids, or equal ones where that is no gain."""
        likeliest = self._likeliest()
        largest = likeliest[[grid is WEIGHTS for grid in self._grids]].max(initial=0.0)
        if largest <= 0:
            return equal
        scaled = zip(likeliest * LARGEST / largest, self._grids, strict=True)
        found = np.array([min(grid, key=lambda step: abs(step - value)) for value, grid in scaled])
        before, after = self.ndcg(equal), self.ndcg(found)
        return found if (after >= before).all() and self._mean(after) > self._mean(before) else equal

    def _likeliest(self) -> np.ndarray:
        """The weights of the conditional logit, 0 or more but for TAKEN's."""
        terms, rows = self._terms, len(self._starts)
        size = np.sqrt(
            np.einsum("ij,ij->j", terms, terms, dtype=np.float64) / len(terms)
        )  # without a copy of the terms
        size[size == 0] = 1  # an empty list
        of_targets = terms[self._target].sum(axis=0, dtype=np.float64)

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            scores = terms @ (weights / size).astype(np.float32)
            best = np.maximum.reduceat(scores, self._starts)
            shares = np.exp(scores - np.repeat(best, self._counts))
            total = np.add.reduceat(shares, self._starts)
            shares /= np.repeat(total, self._counts)
            value = np.sum(np.log(total) + best - scores[self._target], dtype=np.float64) / rows
            slope = (shares @ terms - of_targets) / size / rows
            return float(value + PENALTY * (weights @ weights)), slope + 2 * PENALTY * weights

        bounds = [(0.0 if grid is WEIGHTS else None, None) for grid in self._grids]
        start = np.full(len(bounds), 0.1)
        return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x / size

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
        for trial in self._grids[column]:
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
