"""The log of JSON lines after a kill."""

from recbole_llmfashion.files.json_lines import JsonLines


def test_ignores_and_removes_an_incomplete_line(tmp_path):
    log = JsonLines(tmp_path / "log.jsonl")
    assert log.end() == 0
    assert log.append({"a": "é"}) == len('{"a": "é"}\n'.encode())
    second = log.append([1])
    with log.path.open("ab") as stream:
        stream.write(b'{"half": ')
    assert log.read() == ([{"a": "é"}, [1]], second) and log.end() == second
    assert log.read(most=1)[0] == [{"a": "é"}] and log.read(start=second) == ([], second)
    log.append(2)
    assert log.path.read_bytes() == '{"a": "é"}\n[1]\n2\n'.encode()
    assert JsonLines(tmp_path / "ascii", ascii_only=True).append("é") == len(b'"\\u00e9"\n')


def test_finds_the_end_behind_a_long_incomplete_line(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"1\n" + b"x" * 10_000)
    assert JsonLines(path).end() == 2
    path.write_bytes(b"x" * 10_000)
    assert JsonLines(path).end() == 0
