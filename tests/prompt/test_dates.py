from datetime import date

import pytest

from recbole_llmfashion.data.atomic.times import LATEST
from recbole_llmfashion.prompt.dates import CACHED_DAYS, DAY, coarse_date, easter, holidays


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("2023-07-04", "Jul"),
        ("2023-12-10", "Dec"),
        ("2023-12-11", "Dec, near Christmas"),
        ("2023-12-25", "Dec, near Christmas"),
        ("2023-12-26", "Dec, near New Year"),
        ("2024-01-01", "Jan, near New Year"),
        ("2024-03-20", "Mar, near Easter"),
        ("2023-11-24", "Nov, near Black Friday"),
        ("2024-05-12", "May, near Mother's Day"),
        ("1969-12-31", "Dec, near New Year"),
    ],
)
def test_coarse_dates(when, text):
    assert coarse_date(day(when)) == text


def test_the_cache_of_days_is_bounded():
    for day_number in range(20_000, 25_000):
        coarse_date(day_number)
    assert coarse_date.cache_info().currsize == CACHED_DAYS < 5_000


def test_every_day_that_is_accepted_has_a_date():
    last = int(LATEST // DAY)
    texts = {coarse_date(day_number) for day_number in range(0, last, 97)} | {coarse_date(last)}
    assert 12 < len(texts) < 12 * 8


def test_easter_sundays():
    found = [easter(year).isoformat() for year in (2019, 2023, 2024, 2025, 2038)]
    assert found == ["2019-04-21", "2023-04-09", "2024-03-31", "2025-04-20", "2038-04-25"]


def test_holidays_of_a_year():
    found = {name: when.isoformat() for name, when in holidays(2024).items()}
    assert found == {
        "New Year": "2024-01-01",
        "Valentine's Day": "2024-02-14",
        "Easter": "2024-03-31",
        "Mother's Day": "2024-05-12",
        "Halloween": "2024-10-31",
        "Black Friday": "2024-11-29",
        "Christmas": "2024-12-25",
    }
