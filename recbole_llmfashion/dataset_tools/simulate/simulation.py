"""`simulate_category`: a catalogue, a shop, users and their year, as one folder of atomic files.

It wires the parts and finds how often people must visit for the wanted mean length; it writes nothing to disk.
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
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import make_catalogue
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category
from recbole_llmfashion.dataset_tools.simulate.shop.search import Shop
from recbole_llmfashion.dataset_tools.simulate.shop.types_contrast import CONTRAST_CATEGORIES
from recbole_llmfashion.dataset_tools.simulate.shop.types_fashion import FASHION_CATEGORIES
from recbole_llmfashion.errors import UserError

CATEGORIES: dict[str, Category] = {c.name: c for c in (*FASHION_CATEGORIES, *CONTRAST_CATEGORIES)}
_BATCH = 50_000
_PILOT_USERS, _PILOT_STEPS, _TOLERANCE = (150, 5_000), 6, 0.008
_SESSIONS = (1.0, 4.0, 9.0)  # the least, a bracket that most lengths lie in, the most


@dataclass(frozen=True)
class SimulationSettings:
    """What the command line may set; items and mean_length follow Table 1 where they are None."""

    category: str
    users: int
    seed: int
    items: int | None = None
    mean_length: float | None = None

    def resolved(self) -> tuple[Category, int, float]:
        """The category, the number of items and the mean length.

        Raises:
            UserError: an unknown category, no users, or too few or too many items.
        """
        if self.category not in CATEGORIES:
            raise UserError(f"--category {self.category}: not one of {', '.join(CATEGORIES)}")
        category = CATEGORIES[self.category]
        if self.users < 1:
            raise UserError(f"--users {self.users}: at least 1 is needed")
        if self.seed < 0:
            raise UserError(f"--seed {self.seed}: must be 0 or more")
        items = self.items if self.items is not None else max(300, round(self.users * category.items / category.users))
        if not 300 <= items <= 9_000_000:
            raise UserError(f"--items {items}: from 300 to 9000000, fewer leave a shop with empty shelves")
        return category, items, self.mean_length if self.mean_length is not None else category.mean_length


def simulate_category(settings: SimulationSettings, path: Path, show_progress: bool = False) -> AtomicFolder:
    """Simulate a dataset (docs/method.md, "section 3" and "Table 1"); deterministic by `settings`.

    Args:
        settings: category, size and seed.
        path: the folder it is for; its name is the dataset's. Nothing is written.
        show_progress: bars for the batches of users.

    Returns:
        clean atomic frames: exactly `users` users, each ending with a purchase.

    Raises:
        UserError: for settings that cannot be met.
    """
    category, items, mean_length = settings.resolved()
    seeds = np.random.SeedSequence(settings.seed).spawn(3)
    shop_rng, text_rng, id_rng = (np.random.default_rng(seed) for seed in seeds)
    with tqdm(total=settings.users, desc="catalogue", unit="user", disable=not show_progress) as bar:
        catalogue = make_catalogue(category, items, shop_rng)
        shop = Shop(catalogue, shop_rng)
        bar.set_description("length of sequences")
        sessions = _find_sessions(shop, mean_length, int(np.clip(settings.users, *_PILOT_USERS)), settings.seed)
        bar.set_description("titles")
        ids = frames.item_ids(items, id_rng)
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
    """Tokens by person of a batch, "" for those who are not chosen; `done` users came before, of `total`."""
    width = max(6, len(str(total)))
    tokens = np.full(people, "", dtype=object)
    tokens[chosen] = [f"u{number:0{width}d}" for number in range(done + 1, done + len(chosen) + 1)]
    return tokens


def _run(shop: Shop, wanted: int, sessions: float, seed: list[int]) -> tuple[Log, frames.Kept]:
    """A batch with more people than wanted, because some never buy."""
    users, rng = min(_BATCH, int(wanted * 1.4) + 50), np.random.default_rng(seed)
    people = make_users(shop.catalogue.category, shop.catalogue.brands, users, rng)
    log = Journeys(shop, people, rng).run(sessions)
    return log, frames.keep(log, users)


def _find_sessions(shop: Shop, mean_length: float, users: int, seed: int) -> float:
    """The mean number of sessions that gives the mean length after the click filter, by false position.

    The pilot has the first batch's seed and the shop remembers its rankings, so a small dataset is the last pilot.

    Raises:
        UserError: where no number of sessions does.
    """

    def length(sessions: float) -> float:
        found = _run(shop, users, sessions, [seed, 0])[1].length
        return float(found[found > 0][:users].mean())

    low, high, most = _SESSIONS
    shortest, longest = length(low), length(high)
    if mean_length > longest:
        low, shortest, high, longest = high, longest, most, length(most)
    if not shortest <= mean_length <= longest:
        bound = f"{shortest:.1f} or more" if mean_length < shortest else f"{longest:.1f} or less"
        raise UserError(f"--mean_length {mean_length}: {bound} can be had for {shop.catalogue.category.name}")
    best, miss = low, mean_length  # runs are noisy: keep the closest, not the last
    for _ in range(_PILOT_STEPS):
        guess = low + (high - low) * (mean_length - shortest) / (longest - shortest)
        found = length(guess)
        if abs(found - mean_length) < miss:
            best, miss = guess, abs(found - mean_length)
        if miss < _TOLERANCE * mean_length:
            break
        if found < mean_length:
            low, shortest = guess, found
        else:
            high, longest = guess, found
    return best
