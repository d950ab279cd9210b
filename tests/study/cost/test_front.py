"""Pareto front and candidate, by hand and as properties."""

from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.study.cost.front import Point, candidate, pareto_front

POINTS = [Point("default", 10, 0.2), Point("small", 4, 0.1991), Point("worse", 3, 0.1989), Point("dear", 20, 0.2)]


def test_front_by_hand():
    assert [point.label for point in pareto_front(POINTS)] == ["worse", "small", "default"]
    twins = [Point("a", 1, 0.5), Point("b", 1, 0.5)]
    assert pareto_front(twins) == twins
    assert pareto_front([Point("a", 1, 0.5), Point("b", 1, 0.4)]) == [Point("a", 1, 0.5)]


def test_candidate_by_hand():
    assert candidate(POINTS, "default", 0.05) == POINTS[1]  # .1991 is .45 % below .2, .1989 is .55 %
    near, nearer = Point("near", 9.5, 0.3), Point("nearer", 9.6, 0.3)
    assert candidate([POINTS[0], nearer], "default", 0.05) is None  # 4 % less is not enough
    assert candidate([POINTS[0], near], "default", 0.05) == near
    assert candidate([POINTS[0], near], "default", 0.06) is None
    assert candidate(POINTS[1:], "default", 0.05) is None


numbers = st.integers(1, 6).map(float)


@given(st.lists(st.builds(Point, st.just("p"), numbers, numbers), max_size=12))
def test_front_rises_and_beats_the_rest(points):
    front = pareto_front(points)
    pairs = sorted({(point.cost, point.accuracy) for point in front})
    assert [accuracy for _, accuracy in pairs] == sorted({accuracy for _, accuracy in pairs})
    for point in points:
        assert any(best.cost <= point.cost and best.accuracy >= point.accuracy for best in front)
