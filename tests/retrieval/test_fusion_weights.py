"""The choice of weights: NDCG by hand, the guard by halves, and lists that do not help."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.retrieval.fusion import fused_scores
from recbole_llmfashion.retrieval.fusion_weights import SIGNED, WEIGHTS, Candidates, _Part

Lists = dict[str, torch.Tensor]
# five items; the second row has no `b`
LISTS: Lists = {"a": torch.tensor([[3, 1, 0], [4, -1, -1]]), "b": torch.tensor([[0, 3, -1], [-1, -1, -1]])}


def candidates(lists: Lists, targets: list[int], halves: list[int] | None = None, groups=None) -> Candidates:
    """Rows of one group, all in the first half, unless given."""
    found, nothing = Candidates(list(lists), ["one"] if groups is None else ["one", "two"]), [0] * len(targets)
    rows = (torch.tensor(targets), torch.tensor(groups or nothing), torch.tensor(halves or nothing))
    found.add(lists, *rows, torch.full((len(targets), 1), -1))
    return found


def ndcg(found: Candidates, *weights: float) -> float:
    return float(_Part(found, range(len(found.groups))).ndcg(np.array(weights))[0])


def test_ndcg() -> None:
    found = candidates(LISTS, [1, 4])
    # equal weights: row 1 has 0 (.1678), 3 (.1742), 1 (.0833), so the target is third; row 2 has it first
    assert ndcg(found, 1.0, 1.0) == pytest.approx((1 / math.log2(4) + 1) / 2)
    # a alone: second of three, then first
    assert ndcg(found, 1.0, 0.0) == pytest.approx((1 / math.log2(3) + 1) / 2)
    # b alone has neither, and a score of 0 is no place
    assert ndcg(found, 0.0, 1.0) == 0.0


def test_ranks_count_from_eleven() -> None:
    """2 has 1.087 / 11 = .0988, the target 0 has 1 / 11 = .0909, 1 has 1.087 / 12 = .0906."""
    found = candidates({"a": torch.tensor([[0, -1]]), "b": torch.tensor([[2, 1]])}, [0])
    assert ndcg(found, 1.0, 1.087) == pytest.approx(1 / math.log2(3))


def test_ndcg_of_a_target_in_no_list() -> None:
    assert ndcg(candidates(LISTS, [2, 4]), 1.0, 1.0) == pytest.approx(0.5)
    assert ndcg(candidates(LISTS, [2, 2]), 1.0, 1.0) == 0.0


def test_ndcg_below_rank_ten() -> None:
    lists = {"a": torch.arange(12)[None]}
    assert ndcg(candidates(lists, [9]), 1.0) == pytest.approx(1 / math.log2(11))
    assert ndcg(candidates(lists, [10]), 1.0) == 0.0


def test_ties_count_against_the_target() -> None:
    lists = {"a": torch.tensor([[0]]), "b": torch.tensor([[1]])}
    for target in (0, 1):
        assert ndcg(candidates(lists, [target]), 1.0, 1.0) == pytest.approx(1 / math.log2(3))


def test_each_half_has_its_own_mean() -> None:
    found = candidates(LISTS, [1, 4], [1, 0])
    assert _Part(found, [0]).ndcg(np.ones(2)).tolist() == pytest.approx([1.0, 1 / math.log2(4)])


def shuffled(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(40)[:10] for _ in range(rows)])


def with_target_first(targets: np.ndarray) -> torch.Tensor:
    """Lists whose first item is the target."""
    return torch.from_numpy(np.stack([np.r_[target, (target + 1 + np.arange(3)) % 40] for target in targets]))


def test_the_better_list_gets_all_weight() -> None:
    targets = np.random.default_rng(1).integers(0, 40, 30)
    lists = {
        "noise": torch.from_numpy(shuffled(30)),
        "good": with_target_first(targets),
        "none": torch.full((30, 1), -1),
    }
    found = candidates(lists, targets.tolist(), [0, 1] * 15)
    chosen = found.choose()
    # equal weights: noise's head ties with the target and is counted before it
    report = chosen.report["one"]
    assert report["rows"] == [15, 15] and max(report["equal"]) < 1.0 and report["chosen"] == [1.0, 1.0]
    weights = chosen.weights["one"]
    assert weights["noise"] == weights["none"] == 0.0 < weights["good"]


def test_a_gain_of_one_half_that_the_other_loses_is_not_taken() -> None:
    """`a` has the targets first of the first half's twenty rows, `b` those of the second half's ten."""
    targets = np.random.default_rng(1).integers(0, 40, 30)
    wrong, first = with_target_first((targets + 20) % 40), torch.arange(30)[:, None] < 20
    lists = {
        "a": torch.where(first, with_target_first(targets), wrong),
        "b": torch.where(first, wrong, with_target_first(targets)),
    }
    # by equal weights the target ties with one item in every row
    tied = pytest.approx(1 / math.log2(3))
    chosen = candidates(lists, targets.tolist(), [0] * 20 + [1] * 10).choose()
    assert chosen.weights["one"] == {"a": 1.0, "b": 1.0} and chosen.report["one"]["chosen"] == [tied, tied]
    # the same rows spread over both halves: the list that more of them need wins
    chosen = candidates(lists, targets.tolist(), [0, 1] * 15).choose()
    assert chosen.weights["one"]["a"] > chosen.weights["one"]["b"]


def test_a_group_departs_from_the_shared_weights_where_its_rows_gain() -> None:
    targets = np.random.default_rng(1).integers(0, 40, 40)
    wrong, first = with_target_first((targets + 20) % 40), torch.arange(40)[:, None] < 20
    lists = {
        "a": torch.where(first, with_target_first(targets), wrong),
        "b": torch.where(first, wrong, with_target_first(targets)),
    }
    chosen = candidates(lists, targets.tolist(), [0, 1] * 20, [0] * 20 + [1] * 20).choose()
    assert chosen.weights["one"]["a"] > chosen.weights["one"]["b"] and chosen.report["one"]["chosen"] == [1.0, 1.0]
    assert chosen.weights["two"]["a"] < chosen.weights["two"]["b"] and chosen.report["two"]["chosen"] == [1.0, 1.0]


def test_a_group_without_rows_has_the_shared_weights() -> None:
    targets = np.random.default_rng(1).integers(0, 40, 30)
    lists = {"noise": torch.from_numpy(shuffled(30)), "good": with_target_first(targets)}
    chosen = candidates(lists, targets.tolist(), [0, 1] * 15, [0] * 30).choose()
    assert chosen.weights["two"] == chosen.weights["one"] and chosen.weights["two"]["noise"] == 0.0
    assert chosen.report["two"] == {"rows": [0, 0], "equal": [0.0, 0.0], "chosen": [0.0, 0.0]}


def test_a_group_whose_targets_are_in_no_list_has_the_shared_weights() -> None:
    targets = np.random.default_rng(1).integers(0, 40, 30)
    lists = {"noise": torch.from_numpy(shuffled(30)), "good": with_target_first(targets)}
    rows = [*targets.tolist()[:28], 99, 99]
    chosen = candidates(lists, rows, [0, 1] * 15, [0] * 28 + [1] * 2).choose()
    assert chosen.weights["two"] == chosen.weights["one"] and chosen.report["two"]["rows"] == [1, 1]
    assert candidates(LISTS, [7, 7]).choose().weights == {"one": {"a": 1.0, "b": 1.0}}


def test_items_that_the_evaluation_masks_take_no_place() -> None:
    """In the first row of LISTS, 3 and 0 are before 1; a target that is masked is no hit."""
    one = {name: positions[:1] for name, positions in LISTS.items()}
    for masked, target, expected in (([-1, -1], 1, 1 / math.log2(4)), ([0, 3], 1, 1.0), ([1, -1], 1, 0.0)):
        found = Candidates(list(one), ["one"])
        found.add(one, torch.tensor([target]), torch.tensor([0]), torch.tensor([0]), torch.tensor([masked]))
        assert ndcg(found, 1.0, 1.0) == pytest.approx(expected)


def repeats(rows: int, share: float) -> tuple[Lists, list[int]]:
    """A list `a` of random items, two of them taken; a share of the targets was taken, the others are second in `a`."""
    rng = np.random.default_rng(3)
    order = np.stack([rng.permutation(40)[:12] for _ in range(rows)])
    again = np.arange(rows) < share * rows
    # the first and the third item were taken before
    lists = {"a": torch.from_numpy(order), "taken": torch.from_numpy(order[:, [2, 0]])}
    return lists, np.where(again, order[:, 2], order[:, 1]).tolist()


def test_taken_items_count_less_where_nothing_is_taken_twice_and_more_where_it_is() -> None:
    lists, targets = repeats(40, 0.0)
    chosen = candidates(lists, targets, [0, 1] * 20).choose()
    assert chosen.weights["one"]["taken"] < 0 and chosen.report["one"]["chosen"] == [1.0, 1.0]
    # equal weights leave them out: the target is second
    assert chosen.report["one"]["equal"] == pytest.approx([1 / math.log2(3)] * 2)
    lists, targets = repeats(40, 1.0)
    lists["taken"] = lists["taken"][:, :1]
    chosen = candidates(lists, targets, [0, 1] * 20).choose()
    assert chosen.weights["one"]["taken"] > 0 and chosen.report["one"]["chosen"] == [1.0, 1.0]


def test_a_log_without_structure_gives_taken_items_no_weight_of_note() -> None:
    """Targets at random among the items of `a`: no weight raises the NDCG of both halves by more than chance."""
    rng = np.random.default_rng(5)
    order = np.stack([rng.permutation(40)[:12] for _ in range(400)])
    lists = {"a": torch.from_numpy(order), "taken": torch.from_numpy(order[:, ::6])}
    targets = order[np.arange(400), rng.integers(0, 12, 400)]
    report = candidates(lists, targets.tolist(), [0, 1] * 200).choose().report["one"]
    assert np.mean(report["chosen"]) - np.mean(report["equal"]) < 0.03


def test_the_logit_of_two_lists_by_hand() -> None:
    """One item of `a`, one of `b`: p(a) = 1 / (1 + exp((w_b - w_a) / 11)); three of four targets are of `a`.

    Without a penalty w_a - w_b = 11 log 3; the penalty on w / 11 moves it a little towards 0.
    """
    lists = {"a": torch.zeros(4, 1, dtype=torch.int64), "b": torch.ones(4, 1, dtype=torch.int64)}
    part = _Part(candidates(lists, [0, 0, 0, 1], [0, 1, 0, 1]), [0])
    weights = part._likeliest()
    assert weights[1] == 0.0 and weights[0] == pytest.approx(11 * math.log(3), rel=0.03)


def test_no_rows() -> None:
    chosen = Candidates(["a", "b"], ["one"]).choose()
    assert chosen.weights == {"one": {"a": 1.0, "b": 1.0}}


def test_rows_may_be_added_one_by_one() -> None:
    apart = Candidates(list(LISTS), ["one"])
    for row, target in enumerate((1, 4)):
        part = {name: positions[row : row + 1] for name, positions in LISTS.items()}
        apart.add(part, torch.tensor([target]), torch.tensor([0]), torch.tensor([0]), torch.tensor([[-1]]))
    assert ndcg(apart, 1.0, 0.25) == ndcg(candidates(LISTS, [1, 4]), 1.0, 0.25)
    assert apart.choose() == candidates(LISTS, [1, 4]).choose()


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 3))
def test_no_half_loses_and_weights_are_of_the_resolution(seed: int, rows: int, names: int) -> None:
    rng = np.random.default_rng(seed)
    lists = {
        f"list{i}": torch.from_numpy(np.stack([rng.permutation(12)[:5] for _ in range(rows)])) for i in range(names)
    }
    found = candidates(lists, rng.integers(0, 12, rows).tolist(), rng.integers(0, 2, rows).tolist())
    chosen = found.choose()
    values = chosen.weights["one"].values()
    assert set(values) <= set(WEIGHTS) < set(SIGNED) and any(values) and list(chosen.weights["one"]) == list(lists)
    before, after = (np.array(chosen.report["one"][name]) for name in ("equal", "chosen"))
    assert (after >= before).all()


@given(st.integers(0, 2**31), st.integers(2, 9))
def test_ndcg_equals_that_of_the_fused_scores(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    lists = {name: torch.from_numpy(rng.permutation(n)[None, : max(1, n - 2)]) for name in ("a", "b")}
    weights = {"a": 1.0, "b": math.pi}
    scores = fused_scores(lists, weights, n)[0]
    target = int(rng.integers(0, n))
    rank = int((scores >= scores[target]).sum())
    expected = 1 / math.log2(rank + 1) if scores[target] > 0 else 0.0
    assert ndcg(candidates(lists, [target]), *weights.values()) == pytest.approx(expected)
