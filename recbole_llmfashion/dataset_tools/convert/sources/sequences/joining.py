"""Joins overlapping windows of a user to one sequence."""

from enum import Enum, auto


class Joined(Enum):
    """How a window met the sequence: new items at an end, none, or no overlap."""

    longer = auto()
    inside = auto()
    apart = auto()


def join(sequence: list[str], window: list[str]) -> tuple[list[str], Joined]:
    """The shortest sequence that contains both, with the window later where either order is as short.

    A window that does not overlap comes after the sequence.

    >>> join(["a", "b", "c"], ["b", "c", "d"])
    (['a', 'b', 'c', 'd'], <Joined.longer: 1>)
    >>> join(["b", "c"], ["a", "b"])
    (['a', 'b', 'c'], <Joined.longer: 1>)
    >>> join(["a", "b", "c"], ["b", "c"])[1], join(["a"], ["x", "y"])
    (<Joined.inside: 2>, (['a', 'x', 'y'], <Joined.apart: 3>))
    """
    if _contains(sequence, window):
        return sequence, Joined.inside
    if not sequence or _contains(window, sequence):
        return window, Joined.longer
    after, before = _overlap(sequence, window), _overlap(window, sequence)
    if before > after:
        return window + sequence[before:], Joined.longer
    return sequence + window[after:], Joined.longer if after else Joined.apart


def _contains(sequence: list[str], part: list[str]) -> bool:
    length = len(part)
    return any(sequence[start : start + length] == part for start in range(len(sequence) - length + 1))


def _overlap(first: list[str], second: list[str]) -> int:
    """Length of the longest end of `first` with which `second` begins."""
    longest = min(len(first), len(second))
    return next((length for length in range(longest, 0, -1) if first[-length:] == second[:length]), 0)
