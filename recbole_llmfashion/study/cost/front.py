"""Which points no other point beats, and which cheaper one is as good as the default."""

from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 0.005  # of the default's accuracy that a cheaper default may lose


@dataclass(frozen=True)
class Point:
    """A setting's cost and its accuracy on validation rows."""

    label: str
    cost: float
    accuracy: float


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats: at most as dear and at least as good, and better in one of both.

    Returns:
        by ascending cost; of equal points all.

    >>> [point.label for point in pareto_front([Point("a", 1, 0.1), Point("b", 2, 0.1), Point("c", 3, 0.2)])]
    ['a', 'c']
    """

    def beaten(point: Point) -> bool:
        return any(
            other.cost <= point.cost
            and other.accuracy >= point.accuracy
            and (other.cost < point.cost or other.accuracy > point.accuracy)
            for other in points
        )

    return sorted((point for point in points if not beaten(point)), key=lambda point: (point.cost, point.label))


def candidate(points: Sequence[Point], default: str, saving: float) -> Point | None:
    """The cheapest point that is cheaper than the default and not worse than it by more than TOLERANCE.

    Args:
        points: of all settings.
        default: label of the default's.
        saving: share of the default's cost that it must save.

    Returns:
        None where there is none, or where the default itself has no point.
    """
    own = next((point for point in points if point.label == default), None)
    if own is None:
        return None
    good = [
        point
        for point in points
        if point.cost <= (1 - saving) * own.cost and point.accuracy >= (1 - TOLERANCE) * own.accuracy
    ]
    return min(good, key=lambda point: (point.cost, -point.accuracy), default=None)
