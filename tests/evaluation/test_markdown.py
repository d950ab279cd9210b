from recbole_llmfashion.evaluation.markdown import markdown_table


def test_markdown_table():
    assert markdown_table(["model", "n"], [["CORE", "1"], ["x", ""]]) == [
        "| model | n |",
        "|---|---|",
        "| CORE | 1 |",
        "| x |  |",
    ]
    assert markdown_table(["a", "b"], [], [" --- ", " ---: "]) == ["| a | b |", "| --- | ---: |"]
