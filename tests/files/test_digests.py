"""Digests of files and of a model's folder: every byte counts, and no path and no time."""

import hashlib
import json
import os
import shutil

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files import digests
from recbole_llmfashion.files.digests import FileDigests, file_sha256, model_files, model_sha256

MIB = 2**20
FILES = {
    "config.json": b"{}",
    "merges.txt": b"a b\n",
    "model-00001-of-00002.safetensors": bytes(3 * MIB),
    "tokenizer.json": b"[]",
    "vocab.bpe": b"x",
}
BESIDE = {"README.md": b"card", "pytorch_model.bin": b"other", "stage.json": b"{}", ".gitattributes": b"", "x.py": b"1"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    for name, content in (FILES | BESIDE).items():
        (tmp_path / "model" / name).write_bytes(content)
    return tmp_path / "model"


@pytest.fixture
def fresh(monkeypatch):
    """Digests as a new process has them; each call is a new process. Files of any size and age are remembered."""
    monkeypatch.setattr(digests, "LARGE", 0)
    monkeypatch.setattr(digests, "_SETTLED", -(10**12))
    monkeypatch.setattr(digests, "_seen", {})
    return lambda: digests._seen.clear()


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that were read."""
    names = []
    monkeypatch.setattr(digests, "file_sha256", lambda path: (names.append(path.name), file_sha256(path))[1])
    return names


def digest_of(folder):
    return model_sha256(model_files(folder), FileDigests())


def test_digest_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"weights")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(UserError, match=r"gone: cannot be read \(No such file or directory\)"):
        file_sha256(tmp_path / "gone")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        file_sha256(tmp_path)


def test_every_byte_of_a_model_counts(folder):
    before = digest_of(folder)
    for name, content in FILES.items():
        for at in {0, len(content) // 2, len(content) - 1}:  # the middle is behind the first MiB of the weights
            changed = bytearray(content)
            changed[at] ^= 1
            (folder / name).write_bytes(changed)
            assert digest_of(folder) != before, (name, at)
        (folder / name).write_bytes(content)
    assert digest_of(folder) == before
    (folder / "vocab.bpe").rename(folder / "vocab.txt")
    assert digest_of(folder) != before
    (folder / "vocab.txt").unlink()
    assert digest_of(folder) != before


def test_neither_place_nor_time_nor_what_is_not_read_counts(folder, tmp_path):
    before = digest_of(folder)
    for name in BESIDE:
        (folder / name).write_bytes(b"changed")
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    (folder / "onnx").mkdir()
    assert digest_of(folder) == before
    away = tmp_path / "away"
    away.mkdir()
    for name in reversed([path.name for path in folder.iterdir() if path.is_file()]):  # another order of names
        shutil.move(folder / name, away / name)
    assert digest_of(away) == before


def test_a_folder_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"gone: cannot be read"):
        model_files(tmp_path / "gone")


def test_a_file_is_read_once_in_a_process(tmp_path, fresh, reads):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    assert FileDigests().sha256(path) == FileDigests().sha256(path) and reads == ["a"]
    path.write_bytes(b"2")
    assert FileDigests().sha256(path) == hashlib.sha256(b"2").hexdigest() and reads == ["a", "a"]
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))  # ctime alone changes
    FileDigests().sha256(path)
    assert len(reads) == 3


def test_a_file_that_has_just_changed_is_read_again(tmp_path, reads):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    FileDigests().sha256(path), FileDigests().sha256(path)
    assert reads == ["a", "a"]


def test_large_files_are_remembered_between_processes(tmp_path, fresh, reads, monkeypatch):
    memory, path = tmp_path / "deep/.digests.json", tmp_path / "a"
    path.write_bytes(b"1")
    digest = FileDigests(memory).sha256(path)
    fresh()
    assert FileDigests(memory).sha256(path) == digest and reads == ["a"]
    for change in (lambda: path.write_bytes(b"3"), lambda: os.replace(shutil.copy2(path, tmp_path / "b"), path)):
        change()  # other bytes; the same bytes and mtime in another inode
        fresh()
        FileDigests(memory).sha256(path)
    assert reads == ["a"] * 3 and list(json.loads(memory.read_text())) == [str(path)]
    (tmp_path / "c").write_bytes(b"c")
    path.unlink()
    FileDigests(memory).sha256(tmp_path / "c")
    assert list(json.loads(memory.read_text())) == [str(tmp_path / "c")]  # files that are gone are forgotten
    monkeypatch.setattr(digests, "LARGE", 100)
    (tmp_path / "small").write_bytes(b"s")
    FileDigests(memory).sha256(tmp_path / "small")
    assert "small" not in memory.read_text()


@pytest.mark.parametrize(
    "content", ["", "[", "[]", "1", '{"PATH": 1}', '{"PATH": [1, 2, 3, 4, "x"]}', '{"PATH": []}', "[" * 10**5]
)
def test_a_damaged_memory_is_replaced(tmp_path, fresh, reads, content):
    memory, path = tmp_path / ".digests.json", tmp_path / "a"
    path.write_bytes(b"1")
    memory.write_text(content.replace("PATH", str(path)))
    assert FileDigests(memory).sha256(path) == hashlib.sha256(b"1").hexdigest()
    fresh()
    FileDigests(memory).sha256(path)
    assert reads == ["a"]


def test_a_memory_that_cannot_be_written_is_done_without(tmp_path, fresh, reads):
    (tmp_path / "file").write_text("")
    (tmp_path / "a").write_bytes(b"1")
    digests = FileDigests(tmp_path / "file/.digests.json")
    assert digests.sha256(tmp_path / "a") == hashlib.sha256(b"1").hexdigest()


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"1")

    def read(path):
        digest = file_sha256(path)
        path.write_bytes(path.read_bytes() + b"2")
        return digest

    monkeypatch.setattr(digests, "file_sha256", read)
    with pytest.raises(UserError, match="was changed while it was read"):
        FileDigests().sha256(path)


def test_a_file_that_is_linked_while_it_is_read(tmp_path, monkeypatch, fresh):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    links = iter("bcd")

    def read(path):
        (tmp_path / next(links)).hardlink_to(path)
        return file_sha256(path)

    before = path.stat().st_ctime_ns
    monkeypatch.setattr(digests, "file_sha256", read)
    assert FileDigests().sha256(path) == hashlib.sha256(b"1").hexdigest()
    assert path.stat().st_ctime_ns > before
