"""The table of docs/method.md equals the paper's file and the defaults."""

import re
from pathlib import Path

import pytest
import yaml

from recbole_llmfashion.config.layers import merge_layers
from recbole_llmfashion.config.yaml_files import read_yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/method.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## The paper, its file and the default\n")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in SECTION.replace("| | `", "| - | `").splitlines()
    if line.startswith("|")
][2:]
KEYS = [re.fullmatch(r"`(\w+)`", row[1])[1] for row in ROWS]
FILE = read_yaml(ROOT / "properties/model/LLMFashionRec-paper.yaml")
OWN, CORE = merge_layers("LLMFashionRec", "footwear"), merge_layers("CORE", "footwear")
CORE_KEYS = {"epochs", "stopping_step", "train_batch_size"}
DEFAULT = OWN | {key: CORE[key] for key in CORE_KEYS}


def value(cell: str) -> object:
    """The value in a cell of a key; YAML 1.1 needs a point in 2e-5."""
    (text,) = re.fullmatch(r"`(.*)`", cell).groups()
    return yaml.safe_load(re.sub(r"^(\d+)e-", r"\1.0e-", text))


@pytest.mark.parametrize("row", ROWS, ids=KEYS)
def test_row(row):
    key = row[1].strip("`")
    file, default = value(row[3]), value(row[4])
    assert file == FILE.get(key, DEFAULT[key]), "column file"
    if isinstance(default, dict):  # the fields that the file sets
        assert set(default) == set(file)
        assert default.items() <= DEFAULT[key].items(), "column default"
        return
    assert default == DEFAULT[key], "column default"


def test_every_key_of_the_papers_file_has_a_row():
    assert len(KEYS) == len(set(KEYS)) and set(FILE) <= set(KEYS)


def test_where_the_default_differs_the_reason_is_given():
    for row, key in zip(ROWS, KEYS, strict=True):
        differs = FILE.get(key, DEFAULT[key]) != DEFAULT[key]
        reason = row[5] if len(row) > 5 else ""
        not_given = row[2] == "not given"
        assert differs or not reason, key
        assert reason or not differs or not_given, key
