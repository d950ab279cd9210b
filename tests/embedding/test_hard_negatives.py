import numpy as np
import torch

from recbole_llmfashion.embedding.hard_negatives import NegativeMiner, hardest
from recbole_llmfashion.embedding.query_title_pairs import PairTable


def test_hardest() -> None:
    anchors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    candidates = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
    allowed = np.array([[False, True, True], [True, False, False]])
    assert torch.equal(hardest(anchors, candidates, allowed), candidates[[2, 0]])


PAIRS = [("Red  Boots", "Ankle boot"), ("red boots", "tall boot"), ("bag", "Ankle boot"), ("RED BOOTS", "ankle  boot")]


def test_miner() -> None:
    table = PairTable.from_pairs(PAIRS, catalogue=["tote", "purse"])
    # both queries beside "ankle boot"; "purse" is nearer to them than "tote"
    queries = np.array([[1.0, 0.0], [0.8, 0.6]], np.float32)
    titles = np.array([[1.0, 0.0], [0.9, 0.436], [0.0, 1.0], [0.6, 0.8]], np.float32)
    miner = NegativeMiner(table, keep=1, seed=0)
    assert miner.hard_titles(np.array([0, 1])).tolist() == []
    miner.refresh(queries, titles)
    # "red boots" bought both boots: its closest wrong title is the purse; "bag" did not buy the tall boot
    assert miner.hard_titles(np.array([0])).tolist() == [3]
    assert miner.hard_titles(np.array([1])).tolist() == [1]
    # both queries bought the ankle boot; only "bag" did not buy the tall one
    assert miner.hard_queries(np.array([0])).tolist() == []
    assert miner.hard_queries(np.array([1])).tolist() == [1]
    assert miner.hard_titles(np.array([0, 1, 0])).tolist() == [1, 3]


def test_a_query_with_many_positives_has_its_wrong_title() -> None:
    """All 80 titles of the query are nearer than the one wrong title; and so are the 80 queries of a title."""
    pairs = [("shoes", f"t{i}") for i in range(80)] + [(f"q{i}", "boots") for i in range(80)]
    table = PairTable.from_pairs(pairs, ["sandal"])
    queries, titles = np.zeros((81, 2), np.float32), np.zeros((82, 2), np.float32)
    wrong = table.titles.index("sandal")
    queries[:], titles[:] = [1, 0], [1, 0]
    titles[wrong] = [0.6, 0.8]
    miner = NegativeMiner(table, keep=1, seed=0)
    miner.refresh(queries, titles)
    shoes, boots = table.queries.index("shoes"), table.titles.index("boots")
    assert miner.hard_titles(np.array([shoes])).tolist() == [boots]
    assert miner.hard_queries(np.array([boots])).tolist() == [shoes]
    titles[boots] = [0, 1]  # now the sandal is the nearest of the two wrong titles
    miner.refresh(queries, titles)
    assert miner.hard_titles(np.array([shoes])).tolist() == [wrong]


def test_one_mined_negative_is_the_nearest() -> None:
    """`mined: 1` is the paper's closest wrong text; more draw one of the nearest."""
    generator = np.random.default_rng(0)
    pairs = [(f"q{q}", f"t{t}") for q, t in generator.integers((20, 30), size=(150, 2))]
    table = PairTable.from_pairs(pairs, [f"t{i}" for i in range(40)])
    queries, titles = generator.normal(size=(20, 4)), generator.normal(size=(len(table.titles), 4))
    wrong = ~table.is_positive(np.arange(20)[:, None], np.arange(len(titles))[None, :])
    scores = np.where(wrong, queries @ titles.T, -np.inf)
    one, four = NegativeMiner(table, 1, seed=0), NegativeMiner(table, 4, seed=0)
    for miner in (one, four):
        miner.refresh(queries, titles)
    for query in range(20):
        row = np.array([query])
        assert {one.hard_titles(row)[0] for _ in range(20)} == {scores[query].argmax()}
        assert {four.hard_titles(row)[0] for _ in range(60)} == set(np.argsort(-scores[query])[:4])
    of_titles = np.where(wrong, queries @ titles.T, -np.inf).T
    for title in np.unique(table.title_ids):
        found = one.hard_queries(np.array([title]))
        assert found.tolist() == ([of_titles[title].argmax()] if np.isfinite(of_titles[title]).any() else [])


def test_miner_never_returns_a_positive() -> None:
    generator = np.random.default_rng(0)
    pairs = [(f"q{q}", f"t{t}") for q, t in generator.integers((20, 30), size=(150, 2))]
    table = PairTable.from_pairs(pairs, [f"t{i}" for i in range(40)])
    miner = NegativeMiner(table, keep=3, seed=0)
    miner.refresh(generator.normal(size=(20, 4)), generator.normal(size=(len(table.titles), 4)))
    for _ in range(5):
        for query in range(20):
            assert not table.is_positive(np.array([query]), miner.hard_titles(np.array([query]))).any()
        for title in np.unique(table.title_ids):
            assert not table.is_positive(miner.hard_queries(np.array([title])), np.array([title])).any()
