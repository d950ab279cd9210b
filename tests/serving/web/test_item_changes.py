"""The log of item changes as a file: its content, and files that do not belong to it."""

from types import SimpleNamespace

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.web.item_changes import Change, ItemChangeLog

RUN = "digest"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.jsonl"


def test_lines(path):
    log = ItemChangeLog(path, RUN)
    added, removed = Change(add=({"item_id": "N1", "title": "Clog"},)), Change(remove=("11", "12"))
    with log.locked():
        log.append(added)
        log.append(removed)
    assert path.read_text() == (
        '{"run": "digest"}\n{"add": [{"item_id": "N1", "title": "Clog"}]}\n{"remove": ["11", "12"]}\n'
    )
    assert log.fresh() == [] and ItemChangeLog(path, RUN).fresh() == [added, removed]


def test_take_back(path):
    log = ItemChangeLog(path, RUN)
    with log.locked():
        log.append(Change(remove=("11",)))
        log.append(Change(remove=("12",)))
        log.take_back(Change(remove=("12",)))
    assert path.read_text() == '{"run": "digest"}\n{"remove": ["11"]}\n' and log.fresh() == []


def test_incomplete_line_is_ignored_and_cut_off(path):
    log = ItemChangeLog(path, RUN)
    with path.open("a") as stream:
        stream.write('{"remove": ["11"')
    assert log.fresh() == []
    with log.locked():
        log.append(Change(remove=("12",)))
    assert path.read_text() == '{"run": "digest"}\n{"remove": ["12"]}\n'


def test_invalid_files(path, tmp_path):
    log = ItemChangeLog(path, RUN)
    with pytest.raises(UserError, match="belongs to another run"):
        ItemChangeLog(path, "other")
    with log.locked():
        log.append(Change(remove=("11",)))
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(UserError, match="shorter than it was"):
        log.fresh()
    path.write_text("{broken\n")
    with pytest.raises(UserError, match="not readable"):
        ItemChangeLog(path, RUN)
    with pytest.raises(UserError, match="cannot write"):
        ItemChangeLog(tmp_path, RUN)


def test_no_lock_while_nothing_is_new(path):
    log = ItemChangeLog(path, RUN)
    log._lock = SimpleNamespace(__enter__=None)
    assert log.fresh() == []
