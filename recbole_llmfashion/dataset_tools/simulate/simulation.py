"""Simulates a dataset: a catalogue, a shop, and a year of its customers' sessions.

The number of sessions per user is chosen so that the mean sequence length has the requested value.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.simulate import frames
from recbole_llmfashion.dataset_tools.simulate.customers.journeys import Journeys, Log
from recbole_llmfashion.dataset_tools.simulate.customers.queries import make_queries
from recbole_llmfashion.dataset_tools.simulate.customers.users import make_users
from recbole_llmfashion.dataset_tools.simulate.draws import IntArray
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import SimulatedCatalogue, make_catalogue
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category
from recbole_llmfashion.dataset_tools.simulate.shop.search import Shop
from recbole_llmfashion.dataset_tools.simulate.shop.types_contrast import CONTRAST_CATEGORIES
from recbole_llmfashion.dataset_tools.simulate.shop.types_fashion import FASHION_CATEGORIES
from recbole_llmfashion.errors import UserError

CATEGORIES: dict[str, Category] = {c.name: c for c in (*FASHION_CATEGORIES, *CONTRAST_CATEGORIES)}
_BATCH = 50_000
_PILOT_USERS, _PILOT_STEPS, _TOLERANCE = (150, 5_000), 6, 0.008
_SESSIONS = (1.0, 4.0, 9.0)  # mean sessions per user: least, upper end of the first bracket, most


@dataclass(frozen=True)
class SimulationSettings:
    """Settings of a simulation.

    Args:
        category: one of CATEGORIES.
        users: number of users.
        seed: random seed.
        items: number of items; None for the ratio of the paper's Table 1.
        mean_length: mean sequence length; None for that of Table 1.
    """

    category: str
    users: int
    seed: int
    items: int | None = None
    mean_length: float | None = None

    def resolved(self) -> tuple[Category, int, float]:
        """The category, the number of items and the mean length.

        Raises:
            UserError: a setting has a bad value.
        """
        if self.category not in CATEGORIES:
            raise UserError(f"--category: expected one of {', '.join(CATEGORIES)}, found '{self.category}'")
        category = CATEGORIES[self.category]
        if self.users < 1:
            raise UserError(f"--users: expected at least 1, found {self.users}")
        if self.seed < 0:
            raise UserError(f"--seed: expected at least 0, found {self.seed}")
        items = self.items if self.items is not None else max(300, round(self.users * category.items / category.users))
        if not 300 <= items <= 9_000_000:
            raise UserError(f"--items: expected a number from 300 to 9000000, found {items}")
        return category, items, self.mean_length if self.mean_length is not None else category.mean_length


@dataclass(frozen=True)
class MadeShop:
    """The catalogue and the shop of a simulation, with the random numbers that go on from there.

    Args:
        catalogue, shop: as simulated.
        ids: [items] the items' ids.
        text_rng: of titles and queries.
    """

    catalogue: SimulatedCatalogue
    shop: Shop
    ids: frames.Words
    text_rng: np.random.Generator


def make_shop(settings: SimulationSettings) -> MadeShop:
    """The catalogue of a simulation, the same each time.

    Raises:
        UserError: a setting has a bad value.
    """
    category, items, _ = settings.resolved()
    seeds = np.random.SeedSequence(settings.seed).spawn(3)
    shop_rng, text_rng, id_rng = (np.random.default_rng(seed) for seed in seeds)
    catalogue = make_catalogue(category, items, shop_rng)
    return MadeShop(catalogue, Shop(catalogue, shop_rng), frames.item_ids(items, id_rng), text_rng)


def simulate_category(settings: SimulationSettings, path: Path, show_progress: bool = False) -> AtomicFolder:
    """Simulate a dataset (docs/method.md, "section 3" and "Table 1"). Equal settings give equal data.

    Args:
        settings: category, size and seed.
        path: the dataset's folder, whose name is the dataset's name. Nothing is written.
        show_progress: whether to show a progress bar.

    Returns:
        a clean dataset with exactly `settings.users` users.

    Raises:
        UserError: the settings cannot be met.
    """
    category, _, mean_length = settings.resolved()
    with tqdm(total=settings.users, desc="catalogue", unit="user", disable=not show_progress) as bar:
        made = make_shop(settings)
        catalogue, shop, ids, text_rng = made.catalogue, made.shop, made.ids, made.text_rng
        bar.set_description("length of sequences")
        sessions = _find_sessions(shop, mean_length, int(np.clip(settings.users, *_PILOT_USERS)), settings.seed)
        bar.set_description("titles")
        item_frame = frames.item_frame(catalogue, ids, text_rng)
        bar.set_description("shopping")
        actions: list[pd.DataFrame] = []
        searches: list[pd.DataFrame] = []
        done = 0
        while done < settings.users:
            missing = settings.users - done
            log, kept = _run(shop, missing, sessions, [settings.seed, len(actions)])
            chosen = np.flatnonzero(kept.length)[:missing]
            tokens = _user_tokens(chosen, len(kept.length), done, settings.users)
            action_rows = kept.actions[tokens[log.action_user[kept.actions]] != ""]
            search_rows = kept.searches[tokens[log.search_user[kept.searches]] != ""]
            actions.append(frames.action_frame(log, action_rows, tokens, ids))
            queries = make_queries(category, catalogue.brands, log, search_rows, text_rng)
            searches.append(frames.search_frame(log, search_rows, tokens, ids, queries))
            done += len(chosen)
            bar.update(len(chosen))
    return AtomicFolder(
        name=path.resolve().name,
        path=path,
        interactions=pd.concat(actions, ignore_index=True),
        searches=pd.concat(searches, ignore_index=True),
        items=item_frame,
    )


def _user_tokens(chosen: IntArray, people: int, done: int, total: int) -> frames.Words:
    """Tokens of a batch's people, "" for those who are not chosen; `done` of `total` users have tokens already."""
    width = max(6, len(str(total)))
    tokens = np.full(people, "", dtype=object)
    tokens[chosen] = [f"u{number:0{width}d}" for number in range(done + 1, done + len(chosen) + 1)]
    return tokens


def _run(shop: Shop, count: int, sessions: float, seed: list[int]) -> tuple[Log, frames.Kept]:
    """Simulate a batch of more people than `count`, because some of them never buy."""
    users, rng = min(_BATCH, int(count * 1.4) + 50), np.random.default_rng(seed)
    people = make_users(shop.catalogue.category, shop.catalogue.brands, users, rng)
    log = Journeys(shop, people, rng).run(sessions)
    return log, frames.keep(log, users)


def _find_sessions(shop: Shop, mean_length: float, users: int, seed: int) -> float:
    """Find, by false position, the mean number of sessions that gives the mean length after the click filter.

    The trial runs use the seed of the first batch, and the shop caches its rankings, so a small dataset equals the last
    trial run.

    Raises:
        UserError: no number of sessions gives the mean length.
    """

    def length(sessions: float) -> float:
        lengths = _run(shop, users, sessions, [seed, 0])[1].length
        return float(lengths[lengths > 0][:users].mean())

    low, high, most = _SESSIONS
    shortest, longest = length(low), length(high)
    if mean_length > longest:
        low, shortest, high, longest = high, longest, most, length(most)
    if not shortest <= mean_length <= longest:
        bound = f"at least {shortest:.1f}" if mean_length < shortest else f"at most {longest:.1f}"
        name = shop.catalogue.category.name
        raise UserError(f"--mean_length: expected {bound} for {name}, found {mean_length}")
    best, miss = low, mean_length  # runs are noisy, so the closest is kept, not the last
    for _ in range(_PILOT_STEPS):
        guess = low + (high - low) * (mean_length - shortest) / (longest - shortest)
        result = length(guess)
        if abs(result - mean_length) < miss:
            best, miss = guess, abs(result - mean_length)
        if miss < _TOLERANCE * mean_length:
            break
        if result < mean_length:
            low, shortest = guess, result
        else:
            high, longest = guess, result
    return best
