"""The margin over the best other row, by hand."""

import importlib.util
from pathlib import Path

FILE = Path(__file__).parents[1] / "benchmarks/four_categories.py"
spec = importlib.util.spec_from_file_location("four_categories", FILE)
four = importlib.util.module_from_spec(spec)
spec.loader.exec_module(four)


def row(recall, ndcg):
    return {"recall@10": recall, "ndcg@10": ndcg}


ROWS = {
    "SASRec": {"footwear-7": row(0.2, 0.1), "footwear-8": row(0.4, 0.3), "clothing-7": row(0.1, 0.1)},
    "CORE": {"footwear-7": row(0.9, 0.9)},  # of one world alone: no row of the category
    "SeqKNN": {"footwear-7": row(0.1, 0.3), "footwear-8": row(0.1, 0.2)},
    "LLMFashionRec": {"footwear-7": row(0.3, 0.2), "footwear-8": row(0.45, 0.4)},
}


def test_means_and_margins():
    means = four.averages(ROWS, "footwear")
    assert list(means) == ["SASRec", "SeqKNN", "LLMFashionRec"]
    assert [round(means[model]["ndcg@10"], 6) for model in means] == [0.2, 0.25, 0.3]
    best, ratio = four.margin(means, "ndcg@10")
    assert best == "SeqKNN" and round(ratio, 6) == 1.2
    best, ratio = four.margin(means, "recall@10")
    assert best == "SASRec" and round(ratio, 6) == 1.25
    assert four.averages(ROWS, "clothing") == {}


def test_the_table_says_what_is_missing():
    text, smallest = four.table(ROWS)
    lines = text.splitlines()
    assert round(smallest, 6) == 1.2
    assert lines[2] == "| SASRec |  |  | 0.3000 | 0.2000 |  |  |  |  |" and lines[3].count("|  ") == 8
    assert lines[6] == "| LLMFashionRec over the best other |  |  | 1.25 x SASRec | 1.20 x SeqKNN |  |  |  |  |"
    assert lines[-1] == "Means over footwear-7, footwear-8; an empty cell: not run on all of them."
    assert four.table({"SASRec": ROWS["SASRec"]})[1] == float("inf")
