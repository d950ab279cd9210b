"""Writing a folder of atomic files, and the hash of its bytes; test_folder.py reads what was written."""

from pathlib import Path

import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256, write_folder
from recbole_llmfashion.errors import UserError
from tests.helpers.fakes import write_tiny


def test_folder_sha256_covers_each_file_and_its_suffix(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path)
    first = folder_sha256(folder, "tiny")
    (folder / "tiny.search").write_bytes((folder / "tiny.search").read_bytes() + b"u1\t2\tx\t\n")
    second = folder_sha256(folder, "tiny")
    (folder / "tiny.search").rename(folder / "moved")
    third = folder_sha256(folder, "tiny")
    (folder / "tiny.search").write_bytes(b"")
    assert len({first, second, third}) == 3 and folder_sha256(folder, "tiny") == third
    # the same bytes in the same order, under another name
    (folder / "tiny.inter").replace(folder / "tiny.search")
    assert folder_sha256(folder, "tiny") != third


def test_write_folder_removes_an_old_search_file_and_leaves_no_partial_files(tmp_path: Path) -> None:
    found = read_folder(write_tiny(tmp_path))
    write_folder(AtomicFolder(found.name, found.path, found.interactions, found.searches.iloc[:0], found.items))
    assert sorted(p.name for p in found.path.iterdir()) == ["tiny.inter", "tiny.item"]
    broken = found.items.assign(title="a\tb")
    before = (found.path / "tiny.item").read_bytes()
    with pytest.raises(ValueError, match="tab"):
        write_folder(AtomicFolder(found.name, found.path, found.interactions, found.searches, broken))
    assert sorted(p.name for p in found.path.iterdir()) == ["tiny.inter", "tiny.item"]
    assert (found.path / "tiny.item").read_bytes() == before


def test_write_folder_into_a_file(tmp_path: Path) -> None:
    found = read_folder(write_tiny(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_folder(AtomicFolder("x", tmp_path / "file" / "x", found.interactions, found.searches, found.items))
