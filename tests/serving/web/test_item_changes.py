"""The journal of item changes as a file: its content, what is lost from it, and files that do not belong to it."""

import json
import os
from types import SimpleNamespace

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.web.item_changes import ItemChangeLog
from recbole_llmfashion.serving.web.journal import Change, JournalCheck, JournalError, check_journal

RUN = "digest"
ADD, REMOVE = Change(add=({"item_id": "N1", "title": "Clog"},)), Change(remove=("11", "12"))
HEADER = '{"run": "digest"}\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.jsonl"


def write(log, *changes):
    with log.locked():
        for change in changes:
            log.confirm(log.append(change))


def changes(log):
    return [entry.change for entry in log.unread()]


def test_lines(path):
    log = ItemChangeLog(path, RUN)
    assert log.created
    write(log, ADD, REMOVE)
    assert path.read_text() == HEADER + '{"add": [{"item_id": "N1", "title": "Clog"}]}\n{"remove": ["11", "12"]}\n'
    again = ItemChangeLog(path, RUN)
    assert not again.created and changes(log) == [] and changes(again) == [ADD, REMOVE]


def test_a_change_that_was_not_applied_is_returned_again_with_those_behind_it(path):
    write(ItemChangeLog(path, RUN), ADD, REMOVE, ADD)
    log = ItemChangeLog(path, RUN)
    first = log.unread()[0]
    assert changes(log) == [ADD, REMOVE, ADD]
    log.applied(first)
    assert changes(log) == changes(log) == [REMOVE, ADD]
    for entry in log.unread():
        log.applied(entry)
    assert changes(log) == []


def test_take_back(path):
    log = ItemChangeLog(path, RUN)
    with log.locked():
        log.confirm(log.append(Change(remove=("11",))))
        log.append(Change(remove=("12",)))
        log.take_back()
    assert path.read_text() == HEADER + '{"remove": ["11"]}\n' and changes(log) == []


def test_incomplete_line_is_ignored_and_cut_off(path):
    log = ItemChangeLog(path, RUN)
    with path.open("a") as stream:
        stream.write('{"remove": ["11"')
    assert changes(log) == []
    write(log, Change(remove=("12",)))
    assert path.read_text() == HEADER + '{"remove": ["12"]}\n'


def gone(path):
    path.unlink()


def folder(path):
    path.unlink()
    path.mkdir()


def cut(path):
    os.truncate(path, path.stat().st_size - 3)


def emptied(path):
    os.truncate(path, 0)


def only_header(path):
    path.write_text(HEADER)


def garbled(path):
    path.write_bytes(path.read_bytes()[:-5] + b"\xff\xfe\x00}\n")


def of_the_same_length(path):
    path.write_text(path.read_text().replace('"11"', '"13"'))


def another_program(path):
    path.write_text("[tool]\nname = 'x'\n" * 20)


def deep(path):
    with path.open("a") as stream:
        stream.write("[" * 100_000 + "\n")


def not_a_change(line):
    def harm(path):
        with path.open("a") as stream:
            stream.write(line + "\n")

    harm.__name__ = line
    return harm


LINES = (
    "{broken", "[1]", "7", "null", "{}", '{"add": []}', '{"remove": "11"}', '{"remove": [11]}', '{"add": [["N1"]]}',
    '{"add": [{"item_id": 7}]}', '{"add": [{"item_id": "a"}], "remove": ["b"]}', '{"run": "digest"}', "",
)  # fmt: skip
HARMS = [
    (gone, "is gone"), (folder, "is a folder"), (cut, "is shorter"), (emptied, "is empty"), (only_header, "shorter"),
    (garbled, "is not what it was"), (of_the_same_length, "is not what it was"), (another_program, "is not"),
    (deep, "line 4 that is not a change"), *((not_a_change(line), "line 4 that is not a change") for line in LINES),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "message"), HARMS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_journal_that_lost_something_is_one_line_at_a_start_and_later(path, harm, message):
    """For an open replica, a restart and the check of /health. Nobody writes to it, and it can be restored."""
    log, check = ItemChangeLog(path, RUN), JournalCheck(path, RUN)
    write(log, ADD, REMOVE)
    assert changes(log) == [] and check.trouble() is None
    whole = path.read_bytes()
    harm(path)
    harmed = path.read_bytes() if path.is_file() else None
    for work in (log.unread, lambda: ItemChangeLog(path, RUN), lambda: check_journal(path, RUN)):
        with pytest.raises(JournalError, match=message) as error:
            work()
        assert "\n" not in str(error.value) and str(path) in str(error.value) and str(path) not in error.value.reason
    assert message in check.trouble() and (path.read_bytes() if path.is_file() else None) == harmed
    if path.is_dir():
        path.rmdir()
    path.write_bytes(whole)
    assert changes(log) == [] and check.trouble() is None and changes(ItemChangeLog(path, RUN)) == [ADD, REMOVE]


def test_changes_are_given_up_by_deleting_both_files(path):
    write(ItemChangeLog(path, RUN), ADD)
    path.unlink()
    with pytest.raises(JournalError, match=r"delete it and items.jsonl.state to start without its 1 changes"):
        ItemChangeLog(path, RUN)
    path.with_name("items.jsonl.state").unlink()
    assert ItemChangeLog(path, RUN).created and path.read_text() == HEADER


def test_without_changes_nothing_was_lost(path):
    ItemChangeLog(path, RUN)
    path.unlink()
    assert ItemChangeLog(path, RUN).created
    os.truncate(path, 0)
    assert ItemChangeLog(path, RUN).created and path.read_text() == HEADER
    path.unlink()
    write(ItemChangeLog(path, "other"), ADD)  # a new run; the state of the old one means nothing to it
    with pytest.raises(JournalError, match="belongs to another run"):
        ItemChangeLog(path, RUN)


def test_a_journal_without_a_state_gets_one(path):
    """As an earlier release left it."""
    write(ItemChangeLog(path, RUN), ADD)
    state = path.with_name("items.jsonl.state")
    state.unlink()
    assert changes(ItemChangeLog(path, RUN)) == [ADD] and json.loads(state.read_text())["changes"] == 1
    only_header(path)
    with pytest.raises(JournalError, match="is shorter than it was"):
        ItemChangeLog(path, RUN)


def test_the_check_needs_no_state_file(path):
    """A running copy writes it again with the next change."""
    log, check = ItemChangeLog(path, RUN), JournalCheck(path, RUN)
    write(log, ADD)
    path.with_name("items.jsonl.state").unlink()
    assert check.trouble() is None and changes(log) == [] and check.trouble() is None
    write(log, REMOVE)
    assert check.trouble() is None and path.with_name("items.jsonl.state").exists()
    path.unlink()
    assert check.trouble() == "the journal of item changes is gone"


FOREIGN = (
    b"x", b"# Notes\n", b"no line end", b'{"run": "digest"}', b'{"run": 7}\n', b'{"run": "digest", "more": 1}\n',
    b'{"add": [{"item_id": "a"}]}\n', b"\x89PNG\r\n\x1a\n", b"[" * 100_000 + b"\n", b"\n", b"null\n", b"{" * 9 + b"\n",
)  # fmt: skip


@pytest.mark.parametrize("suffix", ["", ".state", ".lock"])
@pytest.mark.parametrize("content", FOREIGN)
def test_a_file_of_another_program_is_refused_and_kept(path, suffix, content):
    """The journal itself, and what would stand beside it: `journal=uv` must not empty `uv.lock`."""
    file = path.with_name(path.name + suffix)
    file.write_bytes(content)
    with pytest.raises(UserError, match="is not ") as error:
        ItemChangeLog(path, RUN)
    assert file.read_bytes() == content and "\n" not in str(error.value)


def test_places_that_cannot_be_written(path, tmp_path):
    with pytest.raises(JournalError, match="is a folder"):
        ItemChangeLog(tmp_path, RUN)
    path.write_text("")
    with pytest.raises(JournalError, match=r"items\.jsonl/x"):
        ItemChangeLog(path / "x", RUN)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(JournalError, match="is not a file"):
        ItemChangeLog(tmp_path / "pipe", RUN)


def test_a_full_disk_changes_nothing(path, monkeypatch):
    log = ItemChangeLog(path, RUN)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, log.locked():
        patch.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match=r"No space left on device.*the change was not made"):
            log.append(ADD)
    assert path.read_bytes() == before
    write(log, REMOVE)
    assert changes(ItemChangeLog(path, RUN)) == [REMOVE]


def test_no_lock_while_nothing_is_new(path):
    log = ItemChangeLog(path, RUN)
    assert changes(log) == []
    log._lock = SimpleNamespace(acquire=None)
    assert changes(log) == []
