"""The margin over the best other row, by hand."""

from tests.helpers.scripts import load_script

four = load_script("four_categories")


def row(recall, ndcg):
    return {"recall@10": recall, "ndcg@10": ndcg}


ROWS = {
    "SASRec": {"footwear-7": row(0.2, 0.1), "footwear-8": row(0.4, 0.3), "clothing-7": row(0.1, 0.1)},
    "CORE": {"footwear-7": row(0.25, 0.1)},  # of one world alone: our .3 and .2 there are 1.2 and 2 times its values
    "SeqKNN": {"footwear-7": row(0.1, 0.3), "footwear-8": row(0.1, 0.2)},
    "LLMFashionRec": {"footwear-7": row(0.3, 0.2), "footwear-8": row(0.45, 0.4)},
}


def test_a_row_is_compared_on_the_worlds_that_it_has():
    assert four.margin(ROWS, "clothing", "ndcg@10") is None
    best, ratio = four.margin(ROWS, "footwear", "ndcg@10")
    assert best == "SeqKNN" and round(ratio, 6) == 1.2
    best, ratio = four.margin(ROWS, "footwear", "recall@10")
    assert best == "CORE" and round(ratio, 6) == 1.2
    whole = {model: found for model, found in ROWS.items() if model != "CORE"}
    best, ratio = four.margin(whole, "footwear", "recall@10")
    assert best == "SASRec" and round(ratio, 6) == 1.25


def test_the_table_says_what_is_missing():
    text, smallest = four.table(ROWS)
    lines = text.splitlines()
    assert round(smallest, 6) == 1.2
    assert lines[2] == "| SASRec |  |  | 0.3000 | 0.2000 |  |  |  |  |"
    assert lines[3] == "| CORE |  |  | 0.2500 (1 of 2) | 0.1000 (1 of 2) |  |  |  |  |"
    assert lines[6] == "| LLMFashionRec over the best other |  |  | 1.20 x CORE | 1.20 x SeqKNN |  |  |  |  |"
    assert lines[-1] == (
        "Means over footwear-7, footwear-8; a row of fewer worlds says so, and is compared on these alone."
    )
    assert four.table({"SASRec": ROWS["SASRec"]})[1] == float("inf")
