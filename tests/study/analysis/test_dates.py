"""Months covered by a log."""

import numpy as np

from recbole_llmfashion.study.analysis.dates import covered_months, has_dates
from tests.helpers.analysis import seconds


def test_covered_months():
    times = np.array([seconds("2024-01-07"), seconds("2024-02-26") + 86399, seconds("2024-02-01")], float)
    assert covered_months(times).astype(str).tolist() == ["2024-01", "2024-02"]  # 25 and 26 days
    times[0] += 86400
    assert covered_months(times).astype(str).tolist() == ["2024-02"]
    assert has_dates(times) and not has_dates(np.array([0.0, 2e9])) and not has_dates(np.zeros(0))
