import gzip

import pytest

from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.csv_stream import RAGGED, header_of, read_blocks
from recbole_llmfashion.errors import UserError

TABLE = b'\xef\xbb\xbfuser,item,note\r\nu1,"a, b",x\r\nu2,c\r\n,NA,\r\n'


def read(path, columns, broken, **keys):
    return [row for block in read_blocks(path, columns, broken, **keys) for row in block.to_numpy().tolist()]


@pytest.mark.parametrize(("name", "compress"), [("log.csv", bytes), ("log.csv.gz", gzip.compress)])
def test_read_blocks(tmp_path, name, compress) -> None:
    (tmp_path / name).write_bytes(compress(TABLE))
    broken = BrokenLines(name, max_share=1.0)
    assert read(tmp_path / name, ["item", "user"], broken) == [["a, b", "u1"], ["NA", ""]]
    assert broken.n_lines == 3 and dict(broken.reasons) == {RAGGED: 1}


def test_tabs_without_quotes(tmp_path) -> None:
    (tmp_path / "log.inter").write_text('user:token\titem:token\n"u1\ta"\n')
    rows = read(tmp_path / "log.inter", ["user:token"], BrokenLines("log"), separator="\t", quotes=False)
    assert rows == [['"u1']]


def test_header_of(tmp_path) -> None:
    (tmp_path / "log.csv").write_bytes(TABLE)
    assert header_of(tmp_path / "log.csv", ",") == ["user", "item", "note"]
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(UserError, match=r"empty\.csv: no header line"):
        header_of(tmp_path / "empty.csv", ",")
    (tmp_path / "latin.csv").write_bytes(b"caf\xe9,b\n")
    with pytest.raises(UserError, match=r"latin\.csv: not a table of UTF-8 text"):
        header_of(tmp_path / "latin.csv", ",")


def test_missing_column(tmp_path) -> None:
    (tmp_path / "log.csv").write_bytes(TABLE)
    with pytest.raises(UserError, match="no column 'itme' among 'user', 'item', 'note'; the nearest is 'item'"):
        read(tmp_path / "log.csv", ["itme"], BrokenLines("log"))
