from pathlib import Path

import pytest

from recbole_llmfashion.data.atomic.table import AtomicError, TableSpec, quote_cell, read_table

SPEC = TableSpec(".inter", {"user_id": "token", "time": "float"}, {"note": "token"})


def read(folder, raw):
    """(frame, errors) of a file."""
    (folder / "shop.inter").write_bytes(raw)
    errors = []
    return read_table(folder, "shop", SPEC, errors.append), errors


def test_columns_in_the_order_of_the_spec(tmp_path):
    frame, errors = read(tmp_path, b"time:float\tuser_id:token\n1\tu1\n2.50\t\n")
    assert errors == [] and frame.columns.tolist() == ["user_id", "time"]
    assert frame.to_numpy().tolist() == [["u1", "1"], ["", "2.50"]]


def test_text_is_not_interpreted(tmp_path):
    frame, _ = read(tmp_path, b'\xef\xbb\xbfuser_id:token\ttime:float\tnote:token\r\n"a\tNA\tnull"\r\n#\t\t ')
    assert frame.to_numpy().tolist() == [['"a', "NA", 'null"'], ["#", "", " "]]


def test_a_header_without_rows(tmp_path):
    frame, errors = read(tmp_path, b"user_id:token\ttime:float")
    assert errors == [] and frame.shape == (0, 2)


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        (b"", ["shop.inter, line 1: expected a header line, found an empty file"]),
        (
            b"user_id:token\ttime:float\nu\t1\nu\xff\t1\n",
            ["shop.inter, line 3: expected UTF-8 text, found the byte 0xff"],
        ),
        (
            b"user_id,time\n",
            ["shop.inter, line 1: expected columns separated by tabs, found columns separated by comma"],
        ),
        (b"user_id\n", ["shop.inter, line 1: expected columns separated by tabs, found one column, 'user_id'"]),
        (
            b"id:token\ttime:token\n",
            [
                "shop.inter, line 1, column id: expected the column user_id, found the unknown column 'id:token'",
                "shop.inter, line 1, column time: expected the header time:float, found 'time:token'",
                "shop.inter, line 1, column user_id: expected a column user_id:token, found none; the nearest is 'id'",
            ],
        ),
        (
            b"user_id:token\ttime:float\ttime:float\n",
            ["shop.inter, line 1, column time: expected each column once, found it 2 times"],
        ),
        (
            b"user_id:token\ttime:float\nu\nu;1\n\nu\n",
            [
                "shop.inter, line 2: expected 2 fields separated by tabs, found 1",
                "shop.inter, line 3: expected 2 fields separated by tabs, found 1 (fields separated by semicolon?)",
                "shop.inter, line 4: expected 2 fields separated by tabs, found an empty line",
            ],
        ),
    ],
)
def test_errors(tmp_path, raw, problems):
    frame, errors = read(tmp_path, raw)
    assert frame is None and [error.problem for error in errors] == problems


def test_only_the_first_error_of_a_kind_is_marked(tmp_path):
    _, errors = read(tmp_path, b"user_id:token\ttime:float\nu\nu\n")
    assert [error.first_of_kind for error in errors] == [True, False]


def test_error_names_the_command():
    error = AtomicError(Path("my data/shop"), "shop.inter", None, None, "rows", "none", command="clean")
    assert (
        str(error) == "shop.inter: expected rows, found none; run `recbole-llmfashion clean 'my data/shop'` to fix it"
    )


def test_quote_cell():
    assert quote_cell("a\tb\u202e") == "'a\\tb\\u202e'"
    assert quote_cell("x" * 60) == repr("x" * 60)
    assert quote_cell("x" * 1061) == repr("x" * 60) + " and 1,001 characters more"
