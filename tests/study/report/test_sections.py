"""Additional tables of report.html."""

from dataclasses import replace

from recbole_llmfashion.study.report import sections
from recbole_llmfashion.study.report.document import ReportTable
from tests.helpers.documents import FAILED, GENERATION, MODELS, sample


def by_key(table: ReportTable, row: int) -> dict:
    return {column.title: table.rows[row].cells.get(column.key) for column in table.columns}


def test_answers():
    validity, measured, lists, mixup = sections.answers(sample())
    assert [row.label for row in validity.rows] == ["LLMFashionRec, seed 2026", "LLMFashionRec, seed 2027"]
    first = by_key(validity, 0)
    assert first["well-formed"] == 0.998 and first["IDs in the prompt"] == 0.4125 and first["any fallback"] == 0.002
    assert first["prompts truncated"] == 1204 and first["quantized layers"] == 16
    assert first["CLIP"] == "trained on the log" and first["title pairs"] == "queries"
    keys = {column.key for table in (validity, measured) for column in table.columns}
    assert {key for key in GENERATION if key != "perplexity"} < keys and "perplexity after_hard" in keys
    assert by_key(lists, 1) == {"ID list": 0.1456, "title list": 0.1301}
    assert by_key(mixup, 0) == {"m = 1": 0.159, "m = 2": 0.158, "m = 3": 0.157}


def test_time():
    (table,) = sections.time(sample())
    titles = [column.title for column in table.columns]
    assert titles[0] == "train" and titles[-2:] == ["this run", "peak MB"]
    rows = {row.label: by_key(table, i) for i, row in enumerate(table.rows)}
    assert rows["GRU4Rec, seed 2026"]["train"] == "61.2" and rows["SASRec, seed 2026"]["train"] == "62.2 †"
    ours = rows["LLMFashionRec, seed 2027"]
    assert (ours["train"], ours["title"], ours["adapter"]) == ("88.1 †", "31.5 †", "640")
    assert ours["this run"] == "1,800" and ours["peak MB"] == "1,217"
    assert "BERT4Rec, seed 2027" not in rows
    assert table.notes[0].endswith("for a row with an ID list this is its `session_model`.")


def test_absent():
    (table,) = sections.absent(sample())
    assert [(row.label, row.cells["reason"], row.cells["where"]) for row in table.rows] == [
        ("BERT4Rec", FAILED, "Test metrics"),
        ("Recformer w/ query", "does not apply: this log has no queries", "Test metrics"),
    ]
    other = replace(sample(), tables=[])
    assert [row.cells["where"] for row in sections.absent(other)[0].rows] == ["seed 2027"]


def test_numbers_of_a_figure():
    figure = sample().figures[1]
    table = sections.numbers(figure)
    assert [row.label for row in table.rows] == ["GRU4Rec", "SASRec", "BERT4Rec", "LLMFashionRec"]
    assert table.rows[0].cells["1"] == "0.0100 (0.0060 to 0.0140)" and table.rows[1].cells["5"] == ""
    across = sections.numbers(sample().figures[0])
    assert [column.title for column in across.columns] == ["Recall@10", "NDCG@10"] and across.rows[0].label == MODELS[0]
