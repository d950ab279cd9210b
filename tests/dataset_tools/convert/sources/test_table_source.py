import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_llmfashion.dataset_tools.convert.sources.table_source import Source, as_seconds, as_text, read_source
from recbole_llmfashion.errors import UserError


def test_read_source(tmp_path) -> None:
    (tmp_path / "items.csv").write_text('id,title,note\na,"Red\nboot",x\n\nb,Bag,y\n')
    source = read_source(tmp_path / "items.csv", ["title", "id"])
    assert source.frame.to_numpy().tolist() == [["Red\nboot", "a"], ["Bag", "b"]]
    assert source.lines.tolist() == [3, 5]
    assert source.where(1, "title") == "items.csv, line 5, column title"
    assert Source(tmp_path / "items.pq", source.frame, np.empty(0)).where(1, "title") == "items.pq, row 2, column title"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,title\na\n", "items.csv, line 2: expected 2 fields as in the header, found 1; fix or quote the line"),
        ("id,title,id\na,b,c\n", "items.csv: expected the column 'id' once, found it 2 times; rename one"),
        ('id,title\na,"b\n', "items.csv, line 2: unexpected end of data; fix the quotes of the line"),
    ],
)
def test_errors(tmp_path, text, message) -> None:
    (tmp_path / "items.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        read_source(tmp_path / "items.csv", ["id"])
    assert str(caught.value) == message


def test_as_text() -> None:
    assert as_text(pd.Series([1.0, None, 3.0])).tolist() == ["1", "", "3"]
    assert as_text(pd.Series([1.5, None])).tolist() == ["1.5", ""]
    assert as_text(pd.Series(["a", None, "NA"])).tolist() == ["a", "", "NA"]
    assert as_text(pd.Series([7, 7], dtype="category")).tolist() == ["7", "7"]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([2**53, None, 2**53 + 1], pa.int64()), ["9007199254740992", "", "9007199254740993"]),
        (pa.array([18446744073709551615, None, 3], pa.uint64()), ["18446744073709551615", "", "3"]),
        (pa.array([1, None, -3], pa.int8()), ["1", "", "-3"]),
        (pa.array([9007199254740993, 2], pa.int64()), ["9007199254740993", "2"]),
        (pa.array([2.5, None], pa.float64()), ["2.5", ""]),
        (pa.array([None, None], pa.int64()), ["", ""]),
    ],
)
def test_parquet_integers_beside_empty_cells(tmp_path, column, texts) -> None:
    """A float64 has 53 bits, so that customers 9007199254740992 and 9007199254740993 were one."""
    pq.write_table(pa.table({"user": column}), tmp_path / "log.parquet")
    assert as_text(read_source(tmp_path / "log.parquet", ["user"]).frame["user"]).tolist() == texts


def test_parquet_times_beside_empty_cells(tmp_path) -> None:
    times = pa.array([1_700_000_000_000, None, 1_700_000_000_500], pa.int64())
    pq.write_table(pa.table({"when": times}), tmp_path / "log.parquet")
    source = read_source(tmp_path / "log.parquet", ["when"])
    with pytest.raises(UserError, match="row 2, column when: expected a number of seconds since 1970"):
        as_seconds(source, "when", "ms")
    filled = Source(source.path, source.frame[source.frame["when"].notna()], source.lines)
    seconds, dates = as_seconds(filled, "when", "ms")
    assert seconds.tolist() == [1_700_000_000.0, 1_700_000_000.5] and dates is False


@pytest.mark.parametrize(
    ("values", "seconds", "dates"),
    [
        (["0", "1.5"], [0, 1.5], False),
        ([3, 4], [3, 4], False),
        (["1970-01-02", "1970-01-01T00:00:10Z"], [86_400, 10], True),
        (pd.to_datetime(["1970-01-01 01:00"]), [3600], True),
    ],
)
def test_as_seconds(tmp_path, values, seconds, dates) -> None:
    times, is_date = as_seconds(Source(tmp_path, pd.DataFrame({"when": values}), np.empty(0)), "when")
    assert times.tolist() == seconds and is_date is dates


@pytest.mark.parametrize("value", ["-1", "nan", "yesterday"])
def test_as_seconds_of_other_texts(tmp_path, value) -> None:
    source = Source(tmp_path / "log.csv", pd.DataFrame({"when": ["5", value]}, dtype=object), np.array([2, 3]))
    with pytest.raises(UserError, match=f"log.csv, line 3, column when: expected a number of seconds.*found '{value}'"):
        as_seconds(source, "when")
