"""Which texts count as training texts, and when a share is more than another."""

from pathlib import Path

import pandas as pd

from recbole_llmfashion.data.atomic.folder import AtomicFolder, empty_searches
from recbole_llmfashion.study.audit.measures.extraction import Share, Texts, query_texts, title_items, training_queries
from recbole_llmfashion.study.audit.measures.training_log import TrainingLog, keys_of_run


def shop():
    """u1 has training rows up to time 20, a validation row at 30 and a test row at 50; u2 has a test row alone."""
    rows = [
        ("u1", "a", "click", 10.0),
        ("u1", "b", "click", 20.0),
        ("u1", "c", "purchase", 30.0),
        ("u1", "d", "purchase", 50.0),
        ("u2", "a", "click", 10.0),
        ("u2", "e", "purchase", 20.0),
    ]
    searches = [("u1", 15.0, "Red  Boots", ""), ("u1", 25.0, "gowns", ""), ("u2", 15.0, "hats", "")]
    return AtomicFolder(
        "shop",
        Path("shop"),
        pd.DataFrame(rows, columns=["user_id", "item_id", "action", "timestamp"]),
        pd.DataFrame(searches, columns=empty_searches().columns),
        pd.DataFrame({"item_id": list("abcdefg")}),
    )


def log():
    keys = keys_of_run({"click_filter": "none"}, "shop", Path("."))
    return TrainingLog.of(shop(), keys)


def test_queries_before_the_last_training_row():
    assert training_queries(log()) == {"red boots"}
    assert query_texts(log(), shop(), None) == Texts(["red boots"], ["gowns", "hats"])
    other = AtomicFolder(
        "other", Path("other"), shop().interactions, shop().searches.assign(query="caps"), pd.DataFrame()
    )
    assert query_texts(log(), shop(), other).others == ["caps", "gowns", "hats"]


def test_products_of_training_rows_and_products_of_none():
    """d and e are targets of test rows, c of a validation row: they are in neither group."""
    assert title_items(log(), shop()) == Texts(["b"], ["f", "g"])


def test_a_sample_is_that_of_its_seed():
    texts = Texts([str(i) for i in range(20)], ["x"])
    assert texts.sample(5, 3) == texts.sample(5, 3) != texts.sample(5, 4)
    assert len(texts.sample(5, 3).training) == 5 and texts.sample(5, 3).others == ["x"]


def test_shares():
    assert Share(0, 0).value == 0 and Share(1, 4).value == 0.25
    assert Share(60, 100).more_than(Share(40, 100)) and not Share(40, 100).more_than(Share(60, 100))
    assert not Share(0, 200).more_than(Share(0, 200))
