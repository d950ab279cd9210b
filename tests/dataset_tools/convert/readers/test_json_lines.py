import gzip

import pytest

from recbole_llmfashion.dataset_tools.convert.readers import text_lines
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import BrokenLines
from recbole_llmfashion.dataset_tools.convert.readers.json_lines import read_json_lines
from recbole_llmfashion.errors import UserError

LINES = b'{"a": 1}\n\n[1]\nx\n{"b": "\xc3\xa9"}\r\n{"c": null}'


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_read_json_lines(tmp_path, compress) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(compress(LINES))
    broken = BrokenLines("log.jsonl", max_share=1.0)
    assert list(read_json_lines(path, broken)) == [(1, {"a": 1}), (5, {"b": "é"}), (6, {"c": None})]
    assert broken.n_lines == 5 and dict(broken.reasons) == {"not a JSON object": 2}


def test_lines_that_are_too_long(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 8)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "0123456789"}\n{"b":2}\n')
    broken = BrokenLines("log.jsonl", max_share=1.0)
    assert [record for _, record in read_json_lines(path, broken)] == [{"b": 2}]
    assert broken.n_lines - broken.count == 1


def test_damaged_and_missing_files(tmp_path) -> None:
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress(LINES * 100)[:40])
    with pytest.raises(UserError, match="damaged gzip"):
        list(read_json_lines(path, BrokenLines("log", max_share=1.0)))
    with pytest.raises(UserError, match=r"no such file; the nearest is .*log\.jsonl\.gz"):
        list(read_json_lines(tmp_path / "log.jsonl", BrokenLines("log")))
