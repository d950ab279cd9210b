"""The table of significance tests in a report."""

import pandas as pd
import pytest

from recbole_llmfashion.evaluation.significance import compare_rows
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.study.report.significance_table import significance_table


def ranks(seed, **models):
    """One row per user u0, u1, ..; the target is the number of the user."""
    return pd.DataFrame(
        [
            {"model": model, "seed": seed, "user": f"u{i}", "target": str(i), "rank": rank}
            for model, row in models.items()
            for i, rank in enumerate(row)
        ]
    )


def test_significance_table():
    frame = pd.concat([ranks(seed=s, A=[1, 2, 11, 1], B=[2, 2, 11, 11], C=[1, 2, 11, 1]) for s in (1, 2)])
    found = [one for m in ("recall@10", "mrr") for one in compare_rows(frame, "A", ["B", "C"], m)]
    table = significance_table(found)
    assert [row.label for row in table.rows] == ["B", "C", "B", "C"]
    assert [row.cells["metric"] for row in table.rows] == ["Recall@10", "Recall@10", "MRR", "MRR"]
    assert table.rows[0].cells["difference"] == pytest.approx(0.25)
    assert not any(row.ranked for row in table.rows)
    assert table.title == "A against the others"
    assert "averaged over 2 seeds" in table.notes[-1]
    document = Document("compare", "t", "d", {}, [1, 2], "c", {}, tables=[table])
    assert Document.from_json(document.as_json()).tables[0].rows == table.rows
