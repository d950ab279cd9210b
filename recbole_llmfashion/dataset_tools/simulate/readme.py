"""The README.md of a simulated dataset: the command that created it, what is simulated, statistics."""

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.data.atomic.time_order import time_order
from recbole_llmfashion.dataset_tools.simulate.customers.seasons import START_SECONDS
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category
from recbole_llmfashion.dataset_tools.statistics import measure

MARK = "made by `recbole-llmfashion simulate`"


def new_share(folder: AtomicFolder) -> float:
    """Share of the items that became available within the simulated year (C1)."""
    return float((folder.items["available_from"] >= START_SECONDS).mean())


def render(folder: AtomicFolder, category: Category, command: str) -> str:
    """The text of the README.md.

    Args:
        folder: the dataset.
        category: its category.
        command: the command line that creates it.
    """
    s, b = measure(folder), category.behaviour
    order = "\n".join(f"- {line}" for line in time_order(folder.interactions).lines())
    return f"""# {folder.name}: SIMULATED data

There are no real customers in this dataset. Every user, brand, item, query and purchase was {MARK}:

    {command}

The same command writes the same bytes on the same kind of processor with the same NumPy; another one rounds otherwise,
and customers then choose otherwise now and then. Results on this dataset show that the code works, not how good a
method is for real customers.

## What is simulated
- **Turnover (C1).** Items arrive and age: about {b.new_share:.0%} of the product families arrive within the year
  (`available_from`), and the attractiveness of an item falls by a factor e every {b.fade_days:.0f} days.
- **Comparison (C2).** Families have variants in color and size; customers click from a result to another color, to
  their size, to an item of similar price, or to another result.
- **Season, occasion, holiday (C3).** Demand follows the calendar (2023-09-01 to 2024-08-30 UTC): winter and summer
  types, weddings in June, back to school, gifts before Christmas and Valentine's Day.
- **Queries (C4).** The same need is expressed in many ways: synonyms, missing words, word order, typos.
- **Tastes.** Each user has favourite colors and brands, a price level, a style, a size and favourite types. A purchase
  is drawn from the clicked items by fit, with noise. Brands and types recur across sessions; an accessory may follow.
- **Search.** A page has at most 8 results, ranked by text match, popularity, age and season, with noise; some pages are
  filtered by size. The probability of a click falls with the position. About a fifth of the sessions start without a
  search.

Item ids are random numbers. Their order and the order of the rows of `.item` carry no information. Electronics and toys
are contrasts: the same process with less of C1 to C4.

## Statistics
| | |
|---|---|
| users | {s.users:,} |
| items in the catalogue (seen in a click or purchase) | {s.items:,} ({s.items_seen:,}) |
| interactions after the paper's click filter (as in Table 1) | {s.interactions:,} |
| mean length (Table 1: {category.mean_length:.2f}) | {s.mean_length:.2f} |
| interactions per item (Table 1: {category.mean_length * category.users / category.items:.2f}) | {s.per_item:.2f} |
| density: interactions / (users x items) | {s.density:.2e} |
| rows in `.inter`, all clicks kept | {s.rows:,} |
| share of purchases in them | {s.purchase_share:.3f} |
| items that arrived within the year | {new_share(folder):.3f} |
| searches | {s.searches:,} |
| unique queries | {s.unique_queries:,} |

{order}
"""
