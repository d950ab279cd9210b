import numpy as np

from recbole_llmfashion.dataset_tools.simulate.customers.journeys import Log
from recbole_llmfashion.dataset_tools.simulate.frames import item_ids, keep


def test_keep() -> None:
    # user 0: click 5, click 6, buy 5, click 7 (cut): length 2 without the click on 5; user 1: click 5, buy 5: length 1;
    # user 2: never buys; user 3: click 9 before, buys 8 twice: length 3
    user = np.array([3, 0, 0, 0, 0, 1, 1, 2, 3, 3])
    time = np.array([1, 4, 1, 2, 9, 1, 2, 1, 2, 3])
    item = np.array([9, 5, 5, 6, 7, 5, 5, 5, 8, 8])
    purchase = np.array([0, 1, 0, 0, 0, 0, 1, 0, 1, 1], dtype=bool)
    search_user, search_time = np.array([0, 0, 0, 1, 3]), np.array([3, 0, 4, 0, 1])
    zero = np.zeros(5, dtype=np.int64)
    shown = np.zeros((5, 8), dtype=np.int64)
    log = Log(search_user, search_time, zero, zero, zero, zero, zero > 0, shown, user, time, item, purchase)
    kept = keep(log, users=4)
    assert kept.length.tolist() == [2, 0, 0, 3]
    assert kept.actions.tolist() == [2, 3, 1, 0, 8, 9]
    assert kept.searches.tolist() == [1, 0, 4]  # a search at the time of the final purchase is dropped


def test_item_ids() -> None:
    rng = np.random.default_rng(0)
    assert {len(token) for token in item_ids(500_000, rng)} == {6}
    many = item_ids(500_001, rng)
    assert {len(token) for token in many} == {7}
    assert len(set(many)) == 500_001
