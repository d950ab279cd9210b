import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.dataset_tools.convert.events import EventChunk, SourceEvents, gather
from recbole_llmfashion.dataset_tools.convert.filters import day_range, in_core, repeats, spread_days
from recbole_llmfashion.errors import UserError

ROWS = st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.booleans(), st.integers(0, 3)))


def log(rows: list[tuple[str, str, bool, float]], chunk: int = 2) -> SourceEvents:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    arrays = [np.array(c, dtype=k) for c, k in zip(columns, (object, object, bool, float), strict=True)]
    parts = (EventChunk(*(a[i : i + chunk] for a in arrays)) for i in range(0, len(rows), chunk))
    return gather(parts, -np.inf, np.inf)[0]


@given(ROWS)
def test_repeats(rows: list) -> None:
    seen: set = set()
    expected = [row in seen or seen.add(row) is not None for row in rows]
    assert repeats(log(rows)).tolist() == expected


@given(ROWS, st.integers(1, 4))
def test_in_core(rows: list, k: int) -> None:
    left = list(range(len(rows)))
    while True:
        few = [
            i
            for i in left
            if min(sum(rows[j][side] == rows[i][side] for j in left) for side in (0, 1)) < k
        ]  # fmt: skip
        if not few:
            break
        left.remove(few[0])
    assert np.flatnonzero(in_core(log(rows), k)).tolist() == left


@given(ROWS)
def test_spread_days(rows: list) -> None:
    days = [(u, i, p, day * 86_400.0) for u, i, p, day in rows]
    seconds = spread_days(log(days)).seconds
    counts: dict[tuple[str, float], int] = {}
    for row, found in zip(days, seconds, strict=True):
        key = row[0], row[3]
        assert found == row[3] + counts.setdefault(key, 0)
        counts[key] += 1


def test_spread_days_with_too_many_rows() -> None:
    full = log([("u", "a", True, 0.0)] * 86_400, chunk=86_400)
    with pytest.raises(UserError, match="user 'u' has more than 86,399 purchases on one day"):
        spread_days(full)


def test_day_range() -> None:
    assert day_range("1970-01-02", "1970-01-02") == (86_400.0, 172_800.0)
    assert day_range(None, None) == (-np.inf, np.inf)
