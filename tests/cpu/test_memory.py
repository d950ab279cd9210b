"""The memory that is left to this process."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from recbole_llmfashion.cpu.memory import free_memory


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [("3000", "1000", 2000), ("1000", "3000", 0), ("max", "1000", 5000), (None, "1", 5000), ("9000", "1", 5000)],
)
def test_the_memory_that_a_container_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, used: str, expected: int
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5000))
    (tmp_path / "memory.current").write_text(f"{used}\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert free_memory(tmp_path) == expected
