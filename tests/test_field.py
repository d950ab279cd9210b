"""The table of Amazon Beauty, by hand."""

import sys

import pytest

from tests.helpers.scripts import load_script

field = load_script("field")


def outcome(recall, ndcg, reused, **seconds):
    metrics = {"recall@10": recall, "ndcg@10": ndcg}
    return [{"seed": 2020, "status": "ok", **metrics, "seconds": seconds, "stages_reused": reused}]


STUDY = {
    "models": {
        "SASRec": outcome(0.0700, 0.0380, [], train_SASRec=80.0, total=90.0),
        "CORE": [{"seed": 2020, "status": "failed: no room"}],
        "LLMFashionRec": outcome(0.0930, 0.0540, ["train_SASRec"], train_SASRec=80.0, adapter=60.0, total=100.0),
    },
    "data": {"amazon_beauty": {"users": 22363, "items": 12101, "item actions": 198502, "sha256": "ab" * 32}},
    "seeds": [2020],
    "command": "study compare",
    "notes": ["history masked."],
}


def test_rows_by_recall():
    lines = field.table(STUDY).splitlines()
    labels = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:13]]
    assert labels == [
        "LLMFashionRec", "eSASRec", "OpenOneRec", "SASRec with sampled softmax", "GRLM", "LC-Rec", "HSTU", "SASRec",
        "SASRec, usual setting", "TIGER", "CORE",
    ]  # fmt: skip
    assert lines[2] == "| LLMFashionRec | 0.0930 | 0.0540 | 3.0 | this run |"
    assert lines[4] == "| OpenOneRec | 0.0924 |  | | OpenOneRec's README |"
    assert lines[9] == "| SASRec | 0.0700 | 0.0380 | 1.5 | this run |"
    assert lines[12] == "| CORE | failed: no room | | | this run |"
    assert lines[14].startswith(
        "- Data: 22,363 users, 12,101 items, 198,502 events, sha256 abababababababab; seed 2020;"
    )
    assert lines[15] == "- history masked."


def test_last_line():
    assert field.last_line(STUDY) == "beauty 0.0930 0.0540"


@pytest.mark.parametrize(("code", "writes", "ends"), [(0, True, None), (1, True, None), (1, False, 1), (2, True, 2)])
def test_a_study_with_a_failed_row_has_its_table(tmp_path, code, writes, ends):
    report = tmp_path / "results.json"
    report.write_text("of an earlier run")
    write = f"open({str(report)!r}, 'w').write('new'); " if writes else ""
    command = [sys.executable, "-c", f"{write}raise SystemExit({code})"]
    if ends is None:
        field.run(command, report)
        assert report.read_text() == "new"
    else:
        with pytest.raises(SystemExit) as ended:
            field.run(command, report)
        assert ended.value.code == ends
    if code:
        with pytest.raises(SystemExit):
            field.run(command)
