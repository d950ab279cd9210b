"""The sentences say what the numbers say."""

from dataclasses import replace

import pytest

from recbole_llmfashion.study.audit import sentences
from recbole_llmfashion.study.audit.findings import Extraction, KeptQueries, Membership
from recbole_llmfashion.study.audit.measures.contents import Held
from recbole_llmfashion.study.audit.measures.exposure import Chance
from recbole_llmfashion.study.audit.measures.extraction import Share
from recbole_llmfashion.study.audit.measures.lists import PAIR, ListExposures
from recbole_llmfashion.study.audit.measures.membership import Auc

NUMBERS = (0, 0, 1, 1, 5, 5)  # two canaries of each count
CHANCE = Chance(129)


def test_means_by_count():
    bits = [1.0, 2.0, 3.0, 4.0, 7.0, 7.0]
    assert [sentences.mean_bits(bits, NUMBERS, count) for count in (0, 1, 5, 9)] == [1.5, 3.5, 7.0, None]


@pytest.mark.parametrize(("one", "five", "found"), [(1.0, 1.0, []), (1.0, 7.0, [5]), (7.0, 7.0, [1, 5])])
def test_counts_above_chance(one, five, found):
    """Two canaries: the bound is 1.41 + 2 * 1.34 / 1.41, about 3.3 bits. Those of nobody do not count."""
    assert 3.0 < CHANCE.beyond(2) < 3.6
    assert sentences.exposed([7.0, 7.0, one, one, five, five], NUMBERS, CHANCE) == found


def test_exposure():
    low, high = [1.0] * 6, [1.0, 1.0, 1.0, 1.0, 7.0, 6.0]
    assert sentences.of_exposure("title", "sampled", low, NUMBERS, CHANCE) == (
        "The LLM, asked by sampling, gives a title away no more than chance, up to 5 customers."
    )
    assert sentences.of_exposure("id", "constrained", high, NUMBERS, CHANCE) == (
        "The LLM, asked within the constraint, gives a product's ID of 5 customers away: 6.5 of 7.0 bits, where chance "
        "gives 1.4."
    )


def test_lists():
    found = ListExposures(1, "x", [1.0, 1.0, 7.0, 7.0, 7.0, 7.0], [False, False, True, False, True, True])
    assert "types the query of one customer finds" in sentences.of_list(found, NUMBERS, CHANCE)
    assert sentences.of_list(found, NUMBERS, CHANCE).endswith("among the first ten for 1 of 2 canaries.")
    nothing = ListExposures(5, "x", [1.0] * 6, [False] * 6)
    assert sentences.of_list(nothing, NUMBERS, CHANCE).endswith("finds its product no sooner than by chance.")
    pair = replace(found, probe=PAIR)
    assert "buys the first product of one customer finds the product that was bought" in sentences.of_list(
        pair, NUMBERS, CHANCE
    )


def test_the_others():
    assert "more often than others: 50.0%" in sentences.of_extraction(
        Extraction("titles", Share(100, 200), Share(10, 200))
    )
    assert "no more often" in sentences.of_extraction(Extraction("titles", Share(11, 200), Share(10, 200)))
    assert "are told from others: AUC 0.70" in sentences.of_membership(Membership("loss", Auc(0.7, 0.03), 9, 9))
    assert "are not told from others" in sentences.of_membership(Membership("loss", Auc(0.55, 0.03), 9, 9))
    (kept,) = sentences.of_kept([KeptQueries(1, 4000, 0.9), KeptQueries(2, 20, None)])
    assert kept.endswith("4,000 with min_askers 1 (90.0% of the training queries), 20 with min_askers 2.")
    assert sentences.of_kept([KeptQueries(1, 0, None)]) == [
        "The run has no memory, so it holds no query word for word."
    ]
    assert sentences.of_held([Held(0, 0, 0, ()), Held(1, 0, 0, ())]) == [
        "No file of the run has a word of a canary's query."
    ]
    (held,) = sentences.of_held([Held(5, 2, 2, ("a",)), Held(1, 0, 1, ("b", "c"))])
    assert held == "Words of a query of one customer stand in b, c."
