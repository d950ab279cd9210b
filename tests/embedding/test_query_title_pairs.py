import numpy as np

from recbole_llmfashion.embedding.query_title_pairs import PairTable, normalize_text

PAIRS = [("Red  Boots", "Ankle boot"), ("red boots", "tall boot"), ("bag", "Ankle boot"), ("RED BOOTS", "ankle  boot")]


def test_normalize_text() -> None:
    assert normalize_text("  Red\t BOOTS\n") == "red boots"


def test_pair_table() -> None:
    table = PairTable.from_pairs(PAIRS, catalogue=["tote", "TALL boot", "tote"])
    assert table.queries == ("red boots", "bag")
    assert table.titles == ("ankle boot", "tall boot", "tote")
    assert table.query_ids.tolist() == [0, 0, 1, 0]
    assert table.title_ids.tolist() == [0, 1, 0, 0]
    assert table.positives_per_query().tolist() == [2, 1]
    assert table.positives_per_title().tolist() == [2, 1, 0]
    positive = table.is_positive(np.arange(2)[:, None], np.arange(3)[None, :])
    assert positive.tolist() == [[True, True, False], [True, False, False]]
