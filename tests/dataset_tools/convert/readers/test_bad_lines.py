import numpy as np
import pytest

from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
from recbole_llmfashion.errors import UserError


def test_finish() -> None:
    broken = BrokenLines("log.csv", max_share=0.3)
    broken.n_lines = 10
    broken.add("no user", line=4)
    broken.add("no time", n=2)
    assert broken.count == 3
    assert broken.finish() == ["log.csv: 1 lines left out: no user", "log.csv: 2 lines left out: no time"]


def test_a_row_counts_for_the_first_check_that_it_fails() -> None:
    broken = BrokenLines("log.csv")
    timed, named = np.array([True, False, True, False]), np.array([True, True, False, False])
    assert broken.usable_rows({"no time": timed, "no user": named}).tolist() == [True, False, False, False]
    assert dict(broken.reasons) == {"no time": 2, "no user": 1}
    assert timed.tolist() == [True, False, True, False]


def test_share_above_the_maximum() -> None:
    broken = BrokenLines("log.csv", max_share=0.2)
    broken.n_lines = 10
    broken.add("no time", n=2)
    broken.finish()
    broken.add("no user", line=9)
    with pytest.raises(UserError) as caught:
        broken.finish()
    assert str(caught.value) == (
        "log.csv: 3 of 10 lines are broken, more than --max-broken 0.2 allows: line 9 is the first: no user; "
        "fix the file or increase --max-broken"
    )


def test_empty_file() -> None:
    with pytest.raises(UserError, match=r"^log\.csv: no lines"):
        BrokenLines("log.csv").finish()


def test_a_file_whose_first_lines_are_all_broken() -> None:
    broken = BrokenLines("log.csv", max_share=1.0)
    broken.n_lines = 10_001
    broken.add("no user", n=10_000)
    broken.n_lines = 10_001
    with pytest.raises(UserError, match="none of the first 10,001 lines can be used: no user"):
        broken.add("no user")
