"""Texts in the files of a run: whole queries, single words, ids; titles of the catalogue and the backbone apart."""

from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.canaries import Canary
from recbole_llmfashion.study.audit.measures.contents import Held, files_with, held, memory_queries


class Folder:
    """A manifest of files in one folder per part."""

    def __init__(self, root):
        self.root, self.content = root, {"model": "LLMFashionRec"}

    def files(self):
        return [(path.parent.name, Path(path.name), "") for path in sorted(self.root.glob("*/*"))]

    def part(self, name):
        return self.root / name

    def file(self, name, file):
        return self.root / name / file

    def lists(self, name, file):
        return (self.root / name / file).is_file()


@pytest.fixture
def run(tmp_path):
    for part in ("run", "adapter", "backbone"):
        (tmp_path / part).mkdir()
    memory = pd.DataFrame(
        {"query": ["bada fego kilu", "red boots", "red boots"], "item": [1, 2, 3], "askers": [1, 4, 4]}
    )
    memory.to_parquet(tmp_path / "run/memory.parquet")
    pd.DataFrame({"title": ["Zuni Gola"]}).to_parquet(tmp_path / "run/catalogue.parquet")
    (tmp_path / "run/pieces.json").write_text('{"vocab": ["MITARO", "u7"]}')
    (tmp_path / "backbone/tokenizer.json").write_text('["pofute"]')
    (tmp_path / "adapter/weights.safetensors").write_bytes(b"u9")
    return Folder(tmp_path)


def test_words_of_canaries(run):
    canaries = [
        Canary("Bada  Fego kilu", "1", "A", 1),
        Canary("mitaro x1 x2", "2", "B", 1),
        Canary("zuni gola pofute", "3", "C", 5),  # of the catalogue and of the backbone, which no customer wrote
    ]
    assert held(run, canaries) == [
        Held(1, 1, 2, ["run/memory.parquet", "run/pieces.json"]),
        Held(5, 0, 0, []),
    ]


def test_queries_and_ids(run):
    assert memory_queries(run) == {"bada fego kilu": 1, "red boots": 4}
    assert files_with(run, ["U7", "u9"]) == {"run/pieces.json": 1} and files_with(run, ["u", "u77"]) == {}
