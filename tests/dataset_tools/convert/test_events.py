import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.dataset_tools.convert.events import EventChunk, SourceEvents, gather

ROWS = st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.booleans(), st.integers(0, 3)))


def log(rows: list[tuple[str, str, bool, float]], chunk: int = 2) -> SourceEvents:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    arrays = [np.array(c, dtype=k) for c, k in zip(columns, (object, object, bool, float), strict=True)]
    parts = (EventChunk(*(a[i : i + chunk] for a in arrays)) for i in range(0, len(rows), chunk))
    return gather(parts, -np.inf, np.inf)[0]


@given(ROWS, st.integers(1, 5))
def test_gather(rows: list, chunk: int) -> None:
    frame = log(rows, chunk).frame()
    expected = [(u, i, "purchase" if p else "click", float(t)) for u, i, p, t in rows]
    assert list(frame.itertuples(index=False, name=None)) == expected
