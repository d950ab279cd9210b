"""docs/data.md is true: its commands run on small files under the names that it gives them."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import recbole

from recbole_llmfashion.dataset_tools.convert.readers import download
from tests.helpers.convert import LOG_ACTIONS, LOG_USERS, amazon, check_readme, hm, invoke
from tests.helpers.convert_published import PUBLISHED

ROOT = Path(__file__).parents[3]
PAGE, README = (ROOT / "docs/data.md").read_text(), (ROOT / "README.md").read_text()
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```bash\n(.*?)```", PAGE.partition("## Amazon")[2], re.S)
    for line in block.replace("\\\n", " ").splitlines()
]


def test_tables_are_converted_as_the_readme_says() -> None:
    """Those two commands are README.md's, which tests/test_readme.py runs."""
    own = re.findall(r"```bash\n(.*?)```", PAGE.partition("## Amazon")[0], re.S)
    assert len(own) == 1 and own[0] in README


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    amazon(tmp_path, "Amazon_Fashion.jsonl.gz", "meta_Amazon_Fashion.jsonl.gz")
    hm(tmp_path)
    for write in PUBLISHED:
        write(tmp_path)
    shutil.copytree(Path(recbole.__file__).parent / "dataset_example" / "ml-100k", tmp_path / "ml-100k")
    monkeypatch.setattr(download, "fetch", lambda wanted, say: [here(name) for name in wanted.files])
    searches: dict[str, set[int]] = {}
    for words in COMMANDS:
        assert words[:4] == ["uv", "run", "recbole-llmfashion", "convert"]
        assert "written: " in invoke(*words[4:])
        found = check_readme(tmp_path / words[words.index("--out") + 1])
        searches.setdefault(words[4], set()).add(len(found.searches))
    # for H&M the query of a user's last purchase is dropped, since it was written from it
    with_searches = {"hm": {LOG_USERS * (LOG_ACTIONS - 1)}}
    with_searches |= {source: {LOG_USERS * LOG_ACTIONS} for source in ("diginetica", "kuaisearch", "kuaisar")}
    assert {source: found for source, found in searches.items() if found != {0}} == with_searches
    assert set(searches) >= {"hm", "amazon-2023", "recbole", *(write.__name__.replace("_", "-") for write in PUBLISHED)}


def here(name: str) -> Path:
    """A file of the hub as the tests write it."""
    path = Path(Path(name).name)
    return path if path.is_file() else path.with_name(path.name + ".gz")
