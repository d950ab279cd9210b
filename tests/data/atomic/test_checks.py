from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.data.atomic import checks


def errors_of(check, values, *args, **keys):
    """(line, expected, found) of each error that a check reports."""
    errors = []
    cells = checks.Cells(Path("shop"), "shop.inter", "column", pd.Series(values, dtype=object), errors.append)
    check(cells, *args, **keys)
    return [(error.line, error.expected, error.problem.split(", found ")[1]) for error in errors]


def test_check_ids():
    assert errors_of(checks.check_ids, ["a", "", "b c", "d,e", "f\u00a0g", "a"]) == [
        (3, "an id that is not empty", "''"),
        (4, "an id without white space or comma", "'b c'"),
        (5, "an id without white space or comma", "'d,e'"),
        (6, "an id without white space or comma", "'f\\xa0g'"),
    ]


def test_three_errors_of_a_kind_are_reported():
    assert [line for line, *_ in errors_of(checks.check_ids, [""] * 9)] == [2, 3, 4]


def test_check_filled():
    assert errors_of(checks.check_filled, ["x", " ", ""], "a title") == [
        (3, "a title that is not empty", "' '"),
        (4, "a title that is not empty", "''"),
    ]


def test_check_unique():
    assert errors_of(checks.check_unique, ["a", "b", "b", "a"]) == [
        (4, "each item id once", "'b' again (first in line 3)"),
        (5, "each item id once", "'a' again (first in line 2)"),
    ]


def test_check_one_of():
    values = ["click", "purchase", "Click"]
    assert errors_of(checks.check_one_of, values, ("click", "purchase")) == [(4, "click or purchase", "'Click'")]


def test_check_item_exists():
    item_ids = pd.Series(["a", "b"])
    assert errors_of(checks.check_item_exists, ["b", "c", ""], item_ids, "shop.item") == [
        (3, "an item id of shop.item", "'c'")
    ]


def test_check_results():
    values = ["", "a b", "a", "a  b", "a,b", "b c d", " ".join("a" * 9)]
    assert errors_of(checks.check_results, values, pd.Series(["a", "b"]), "shop.item") == [
        (8, "at most 8 item ids", "'a a a a a a a a a'"),
        (5, "item ids separated by single spaces", "'a  b'"),
        (6, "item ids separated by single spaces", "'a,b'"),
        (7, "item ids of shop.item", "'c'"),
    ]
    assert [line for line, *_ in errors_of(checks.check_results, values, None, "shop.item")] == [8, 5, 6]


def test_numbers():
    cells = checks.Cells(
        Path("shop"), "shop.item", "price", pd.Series(["1.5", "", "-0", "-1", "x"]), lambda error: None
    )
    values = checks.numbers(cells, "a number", at_least=0.0, may_be_empty=True)
    np.testing.assert_array_equal(values, [1.5, np.nan, 0.0, -1.0, np.nan])
    assert not np.signbit(values[2])
    assert errors_of(checks.numbers, ["1.5", "", "-0", "-1", "x"], "a number", at_least=0.0, may_be_empty=True) == [
        (5, "a number", "'-1'"),
        (6, "a number", "'x'"),
    ]
    assert errors_of(checks.numbers, ["1", ""], "a number") == [(3, "a number", "''")]


@pytest.mark.parametrize("extra", [[], ["x"]], ids=["fast path", "cell by cell"])
def test_parse_numbers(extra):
    texts = ["1", "-2.5", ".5", "1.", "+3", "1e3", "0.1", *extra]
    expected = [1.0, -2.5, 0.5, 1.0, 3.0, 1000.0, 0.1, *[np.nan] * len(extra)]
    np.testing.assert_array_equal(checks.parse_numbers(np.array(texts, dtype=object)), expected)


def test_parse_numbers_rejects_what_only_python_reads():
    texts = np.array(["nan", "inf", "1_0", " 1", "", "1e", "--1", "٣"], dtype=object)
    assert np.isnan(checks.parse_numbers(texts)).all()
