"""seen.json: what a backbone has seen, written and read, and files of another form."""

from pathlib import Path

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.seen import SeenDataset, read_seen, save_seen


def test_written_and_read(tmp_path: Path) -> None:
    seen = [SeenDataset("a", "ab" * 32, "cd" * 32, 3, 12), SeenDataset("ü", "ef" * 32, "01" * 32, 4, 13)]
    save_seen(seen, tmp_path)
    assert read_seen(str(tmp_path)) == seen


def test_nothing_seen(tmp_path: Path) -> None:
    assert read_seen(str(tmp_path)) == read_seen("owner/model") == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"datasets": 3}', '{"datasets": [{"name": "a"}]}', '{"datasets": ["a"]}']
)
def test_another_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "seen.json").write_text(text)
    with pytest.raises(UserError, match=r"seen\.json: cannot be read as the list") as error:
        read_seen(str(tmp_path))
    assert "\n" not in str(error.value)
