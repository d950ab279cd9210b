"""benchmarks/canary.py: the arithmetic of exposure and the planted rows, by hand."""

import importlib.util
import random
from pathlib import Path
from types import SimpleNamespace

import pytest

FILE = Path(__file__).parents[1] / "benchmarks/canary.py"
spec = importlib.util.spec_from_file_location("canary", FILE)
canary = importlib.util.module_from_spec(spec)
spec.loader.exec_module(canary)

INTER = """user_id:token\titem_id:token\taction:token\ttimestamp:float
u2\t11\tclick\t100
u2\t12\tclick\t200
u2\t13\tclick\t200
u2\t11\tclick\t300
u2\t12\tpurchase\t400
u1\t11\tclick\t100
u1\t12\tpurchase\t200
"""
SEARCH = """user_id:token\ttimestamp:float\tquery:token\tresults:token_seq
u2\t99\tred bag\t11 12
u2\t199\tblue bag\t12
u1\t99\tred bag\t11
"""


@pytest.mark.parametrize(("rank", "items", "bits"), [(1, 256, 8.0), (256, 256, 0.0), (16, 256, 4.0), (3, 12, 2.0)])
def test_exposure(rank, items, bits):
    assert canary.exposure(rank, items) == bits


def test_a_cell_has_the_mean_of_the_bits_and_not_of_the_ranks():
    assert canary.cell([1, 16], 256) == "6.0 bits, 1 of 2 in the first 10"
    assert canary.cell([10, 11, 256], 256) == "3.1 bits, 1 of 3 in the first 10"  # (4.68 + 4.54 + 0) / 3


def test_planted_rows(tmp_path):
    (tmp_path / "shop.inter").write_text(INTER)
    (tmp_path / "shop.search").write_text(SEARCH)
    planted = [canary.Canary("bada fego kilu", "13")]
    assert canary.plant(tmp_path, "shop", planted, random.Random(1)) == ["u2"]  # u1 has too few actions
    assert (tmp_path / "shop.inter").read_text() == INTER.replace(
        "u2\t12\tclick\t200", "u2\t13\tclick\t102\nu2\t12\tclick\t200"
    )
    assert (tmp_path / "shop.search").read_text() == SEARCH.replace("u2\t199", "u2\t101\tbada fego kilu\t13\nu2\t199")


def test_probes_and_ranks():
    query = canary.invented(random.Random(1))
    assert [len(word) for word in query.split()] == [6, 6, 6] and query != canary.invented(random.Random(2))
    queries = []

    def recommend(actions, k):
        queries.append(actions[0]["query"])
        return [SimpleNamespace(item=str(number)) for number in range(k)]

    found = canary.ranks(SimpleNamespace(recommend=recommend), [canary.Canary("abcdef ghijkl mnopqr", "4")], 9)
    assert found == {name: [5] for name in canary.PROBES}
    assert queries == ["abcdef ghijkl mnopqr", "abxdef ghijkl mnopqr", "abcdef ghijkl", "abcdef"]
