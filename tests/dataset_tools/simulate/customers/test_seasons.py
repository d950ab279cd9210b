import pytest

from recbole_llmfashion.dataset_tools.simulate.customers.seasons import (
    START_SECONDS,
    gift_chance,
    month_of_day,
)


def test_calendar() -> None:
    month = month_of_day()
    assert START_SECONDS == 1_693_526_400  # 2023-09-01 00:00 UTC
    assert month[[0, 30, 121, 122, 364]].tolist() == [8, 9, 11, 0, 7]  # day 181 is 29 February
    assert month[181] == 1
    chance = gift_chance(1.0)
    assert chance[[0, 79, 80, 113, 114]] == pytest.approx([0.03, 0.03, 0.4, 0.4, 0.03])  # 20 November to 23 December
