"""Rows on other datasets."""

from recbole_llmfashion.study import zero_shot
from recbole_llmfashion.study.report.document import Value
from recbole_llmfashion.study.runner import Runner
from tests.helpers.study import cells, request_for


def test_zero_shot_by_hand(shop, run_with):
    run_with({"LLMFashionRec": lambda config: (1, 1, 1) if config["zero_shot_target_log"] else (2, 2, 2)})
    (shop / "other").symlink_to(shop / "tiny")
    for suffix in ("inter", "search", "item"):
        (shop / "tiny" / f"other.{suffix}").symlink_to(shop / "tiny" / f"tiny.{suffix}")
    words = ("--source=tiny", "--targets=other", "--models=CORE,LLMFashionRec,SeqKNN,Fusion,FPMC")
    request = request_for(shop, *words, study="zero-shot")
    document = zero_shot.zero_shot(request, Runner(request))
    table = document.tables[0]
    assert cells(table, "mrr") == {
        "LLMFashionRec, without the target's log": Value(0.5),
        "LLMFashionRec, with the target's log": Value(1.0),
        "CORE": None,
        "SeqKNN": None,
        "Fusion": None,
        "FPMC": None,
    }
    assert [row.reason[:14] for row in table.rows[2:]] == ["not applicable"] * 4
    assert document.notes[-1].endswith("Models without a row: CORE, SeqKNN, Fusion, FPMC.")
