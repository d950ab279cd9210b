"""The commands of docs/results/README.md write the datasets whose digests stand in the pages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.doc_commands import ROOT, commands_of
from tests.helpers.fakes import real_data

RESULTS = ROOT / "docs/results"
FILES = {  # of a dataset: the names on the page that are files of shared/data
    "amazon_office": {"interactions.csv": "interactions.csv", "items.csv": "items.csv"},
    "hm_week": {"articles.csv": "articles.csv", "week/transactions.csv": "transactions.csv"},
    "online_retail": {"online_retail.parquet": "online_retail.parquet"},
}


def start(command: str, files: dict[str, str]) -> None:
    words = [files.get(word, word) for word in command.split()]
    if words[0] == "python":
        words = [sys.executable, str(ROOT / words[1]), *words[2:]]
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("name", FILES)
def test_a_page_is_of_what_the_command_writes(name, tmp_path, monkeypatch):
    real = real_data(name)
    monkeypatch.chdir(tmp_path)
    files = {word: str(real / file) for word, file in FILES[name].items()}
    commands = commands_of((RESULTS / "README.md").read_text("utf-8"))
    for command in commands:
        if f"results/{name}/prepare.py" in command or command.endswith(f"--out dataset/{name}"):
            start(command, files)
    page = json.loads((RESULTS / f"{name}-compare/results.json").read_text("utf-8"))
    readme = (Path("dataset") / name / "README.md").read_text("utf-8")
    assert f"`{page['data'][name]['sha256'][:16]}" in readme
