"""benchmarks/before_after.py: two values of a key over seeds, as a table with a test per model."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.writer import folder_sha256
from tests.helpers.fakes import simulated_shop

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
sys.path.insert(0, BENCHMARKS)
try:
    import before_after
finally:
    sys.path.remove(BENCHMARKS)


def frame(side: str, ranks: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"model": side, "seed": 1, "user": ["a", "b"], "target": "x", "rank": ranks})


def test_the_lines_of_a_model() -> None:
    found = [pd.DataFrame({"recall@10": [value], "ndcg@10": [value], "minutes": [1.5]}) for value in (0.5, 1.0)]
    both = pd.concat([frame("before", [3, 3]), frame("after", [1, 1])])
    (test,) = before_after.compare_rows(both, "after", ["before"], "ndcg@10")
    first, second = before_after.lines("CORE", [False, True], found, test)
    assert first == ["CORE", "`False`", "0.5000", "0.5000", "", "", "", "1.5"]
    assert second[:6] == ["CORE", "`True`", "1.0000", "1.0000", "+0.5000", "+0.5000 to +0.5000"]
    assert before_after._over_seeds(pd.Series([0.1, 0.3])) == "0.2000 ± 0.1414"


@pytest.mark.parametrize("change", ["length_groups", "length_groups=False", "topk=1,2,3"])
def test_a_change_has_two_values(change: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        before_after.main([change])
    assert raised.value.code == 2
    assert f"expected KEY=BEFORE,AFTER, found '{change}'" in capsys.readouterr().err.splitlines()[-1]


def test_a_key_that_changes_nothing_and_one_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated_shop(tmp_path)
    words = [
        "--dataset=shoes", "--models=GRU4Rec", "--seeds=2", f"--out={tmp_path / 'out'}", f"--data_path={tmp_path}",
        f"--checkpoint_dir={tmp_path / 'saved'}", "--epochs=1", "--show_progress=False",
    ]  # fmt: skip
    assert before_after.main(["eval_batch_size=64,128", *words]) == 0
    printed = capsys.readouterr().out
    page = (tmp_path / "out/table.md").read_text("utf-8")
    assert page in printed and printed.splitlines()[-1] == "difference +0.0000"
    assert page.startswith("# `eval_batch_size`, before and after\n") and "| +0.0000 | +0.0000 to +0.0000 | 1 |" in page
    assert f"data sha256 {folder_sha256(tmp_path / 'shoes', 'shoes')[:16]};" in page
    assert before_after.main(["eval_batch_sise=64,128", *words]) == 2
    assert "eval_batch_sise" in capsys.readouterr().err.splitlines()[-1]
