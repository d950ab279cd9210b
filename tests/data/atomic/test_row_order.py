from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean
from recbole_llmfashion.data.atomic.row_order import order_errors
from recbole_llmfashion.data.atomic.table import AtomicError


def interactions(rows):
    """Rows such as "u1 a click 1", separated by commas."""
    cells = [row.split(" ") for row in rows.split(",") if row]
    frame = pd.DataFrame(cells, columns=["user_id", "item_id", "action", "timestamp"])
    return frame.astype({"timestamp": float})


def searches(rows):
    """Rows such as "u1 2", separated by commas."""
    frame = pd.DataFrame([row.split(" ") for row in rows.split(",") if row], columns=["user_id", "timestamp"])
    return frame.astype({"timestamp": float}).assign(query="shoe", results="")


@pytest.mark.parametrize(
    ("inter", "search", "file", "line", "column"),
    [
        ("u1 a click 1,u2 a click 1,u2 b purchase 2,u1 b purchase 2", "", ".inter", 5, "user_id"),
        ("u1 a click 3,u1 b purchase 2", "", ".inter", 3, "timestamp"),
        ("u1 a purchase 1,u1 b click 2", "", ".inter", 3, "action"),
        ("u1 a click 1,u1 b purchase 2,u2 a purchase 3", "", ".inter", 4, "user_id"),
        ("u1 a click 1,u1 b purchase 2", "u1 2,u1 3", ".search", 3, "timestamp"),
        ("u1 a click 1,u1 b purchase 2", "u1 1,u2 1", ".search", 3, "user_id"),
        ("u1 a click 1,u1 b purchase 2", "u1 1,u1 0", ".search", 3, "timestamp"),
        ("u1 a click 1,u1 b purchase 2,u2 a click 1,u2 b purchase 2", "u1 1,u2 1,u1 2", ".search", 4, "user_id"),
    ],
)
def test_first_error(inter, search, file, line, column):
    with pytest.raises(AtomicError, match=r"run `recbole-llmfashion clean shop` to fix it") as caught:
        check_clean(
            AtomicFolder("shop", Path("shop"), interactions(inter), searches(search), pd.DataFrame({"item_id": []}))
        )
    assert (caught.value.file, caught.value.line, caught.value.column) == ("shop" + file, line, column)


def test_one_error_of_each_kind():
    inter = interactions(
        "u1 a click 2,u1 b click 1,u2 a purchase 1,u1 a click 3,u3 a click 1,u3 a purchase 2,u3 a click 1"
    )
    errors = list(order_errors(Path("shop"), "shop", inter, searches("u9 1,u2 5")))
    assert [(error.file[4:], error.line, error.column) for error in errors] == [
        (".inter", 5, "user_id"),
        (".inter", 3, "timestamp"),
        (".inter", 5, "action"),
        (".inter", 4, "user_id"),
        (".search", 2, "user_id"),
        (".search", 3, "timestamp"),
    ]
    assert errors[1].problem == (
        "shop.inter, line 3, column timestamp: expected times that do not decrease within a user, found 1 after 2"
    )


def test_equal_times_and_a_search_at_the_final_purchase_are_clean():
    inter = interactions("u1 a click 1,u1 b purchase 1,u2 a purchase 0,u2 a purchase 0")
    assert list(order_errors(Path("shop"), "shop", inter, searches("u1 1"))) == []


def test_no_interaction() -> None:
    """Nothing that cleaning could fix."""
    folder = AtomicFolder("shop", Path("shop"), interactions(""), searches(""), pd.DataFrame({"item_id": []}))
    with pytest.raises(
        AtomicError, match=r"^shop\.inter: expected at least one interaction, found none; add interactions$"
    ):
        check_clean(folder)
