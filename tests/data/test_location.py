from pathlib import Path

import pytest

from recbole_llmfashion.data.location import SIMULATED, find_dataset
from recbole_llmfashion.dataset_tools.simulate.simulation import CATEGORIES
from recbole_llmfashion.errors import UserError


def test_find_dataset(tmp_path):
    (tmp_path / "shoes").mkdir()
    assert find_dataset(tmp_path / "shoes", "shoes") == tmp_path / "shoes"


def test_simulated_dataset():
    command = "recbole-llmfashion simulate --category footwear --users 2000 --seed 1 --out nowhere/footwear"
    with pytest.raises(UserError) as caught:
        find_dataset(Path("nowhere/footwear"), "footwear")
    assert str(caught.value) == f"--dataset: no folder nowhere/footwear; create it with: {command}"
    assert set(SIMULATED) == set(CATEGORIES)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("shoess", "did you mean 'shoes'?"),
        ("footware", "did you mean 'footwear'?"),
        ("zzz", "{root} contains: boots, shoes"),
    ],
)
def test_unknown_dataset(tmp_path, name, hint):
    for folder in ("shoes", "boots"):
        (tmp_path / folder).mkdir()
    with pytest.raises(UserError) as caught:
        find_dataset(tmp_path / name, name)
    assert str(caught.value) == f"--dataset: unknown dataset '{name}'; {hint.format(root=tmp_path)}"


def test_no_datasets(tmp_path):
    with pytest.raises(UserError, match=r"nowhere contains: nothing$"):
        find_dataset(tmp_path / "nowhere/zzz", "zzz")
