"""The simulated year: days, months, ranking periods, and the demand for seasons and occasions over time (C3)."""

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from recbole_llmfashion.dataset_tools.simulate.shop.words import OCCASIONS, SEASONS

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

START = datetime(2023, 9, 1, tzinfo=UTC)
START_SECONDS = int(START.timestamp())
DAYS = 365
DAY_SECONDS = 86_400
PERIOD_DAYS = 14
PERIODS = -(-DAYS // PERIOD_DAYS)

SEASON_NAMES = tuple(SEASONS)
OCCASION_NAMES = ("", *OCCASIONS)
NO_OCCASION_WEIGHT = 3.0
# (first month, day, last month, day, probability that a session looks for a gift)
_GIFT_TIMES = ((11, 20, 12, 23, 0.4), (2, 1, 2, 13, 0.25), (5, 1, 5, 11, 0.15))
_GIFT_OTHERWISE = 0.03


def month_of_day() -> IntArray:
    """Month 0..11 of each day of the simulated year, [DAYS]."""
    return np.array([(START + timedelta(days=day)).month - 1 for day in range(DAYS)])


def season_demand(strength: float) -> FloatArray:
    """Demand for each season in each month, [seasons, 12]; `strength` is an exponent, 0 for constant demand."""
    demand: FloatArray = np.array([SEASONS[name][1] for name in SEASON_NAMES]) ** strength
    return demand


def season_arrivals(strength: float) -> FloatArray:
    """Distribution of the arrival day of items that arrive within the year, [seasons, DAYS]; rows sum to 1."""
    monthly = np.array([SEASONS[name][2] for name in SEASON_NAMES]) ** strength
    daily = monthly[:, month_of_day()]
    normalized: FloatArray = daily / daily.sum(axis=1, keepdims=True)
    return normalized


def occasion_demand(strength: float) -> FloatArray:
    """Weight of each occasion in each month, [occasions, 12]; row 0 is "no occasion" and constant."""
    weights = np.array([OCCASIONS[name][2] for name in OCCASION_NAMES[1:]]) * strength
    demand: FloatArray = np.vstack([np.full((1, 12), NO_OCCASION_WEIGHT), weights])
    return demand


def gift_chance(strength: float) -> FloatArray:
    """Probability that a session looks for a gift, [DAYS]; high before Christmas, Valentine's and Mother's Day."""
    chance = np.full(DAYS, _GIFT_OTHERWISE)
    for day in range(DAYS):
        date = START + timedelta(days=day)
        for first_month, first_day, last_month, last_day, peak in _GIFT_TIMES:
            if (first_month, first_day) <= (date.month, date.day) <= (last_month, last_day):
                chance[day] = _GIFT_OTHERWISE + strength * (peak - _GIFT_OTHERWISE)
    return chance


def traffic() -> FloatArray:
    """Distribution of the day of a user's first visit, [DAYS]; higher before Christmas and on weekends."""
    weight = np.ones(DAYS)
    for day in range(DAYS):
        date = START + timedelta(days=day)
        if (11, 20) <= (date.month, date.day) <= (12, 18):
            weight[day] *= 1.7
        if date.weekday() >= 5:
            weight[day] *= 1.2
    normalized: FloatArray = weight / weight.sum()
    return normalized
