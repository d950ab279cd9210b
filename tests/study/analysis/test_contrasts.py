"""Ratios to contrast datasets, and the numbers of the paper."""

from recbole_llmfashion.study.analysis import contrasts


def test_table_1_of_the_paper():
    """Mean lengths and densities as printed, and interactions per item, all from the printed counts."""
    printed = {name: (round(c.mean_length, 2), round(c.per_item, 2)) for name, c in contrasts.TABLE_1.items()}
    assert printed == {
        "luggage_bags": (12.41, 2.14),
        "footwear": (11.29, 1.88),
        "accessories_jewelry": (12.98, 2.63),
        "clothing": (13.25, 2.62),
    }
    density = {name: f"{c.density:.2E}" for name, c in contrasts.TABLE_1.items()}
    assert density == {
        "luggage_bags": "2.02E-04", "footwear": "2.97E-05", "accessories_jewelry": "2.47E-05", "clothing": "9.56E-06"
    }  # fmt: skip
