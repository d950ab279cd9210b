"""The README.md of a simulated folder: that it is simulated, what made it, what is planted, what came out.

It knows the frames and the settings; nothing of how the simulation works beyond what it states.
"""

from recbole_llmfashion.data.atomic.folder import AtomicFolder
from recbole_llmfashion.dataset_tools.simulate.customers.seasons import START_SECONDS
from recbole_llmfashion.dataset_tools.simulate.shop.products import Category
from recbole_llmfashion.dataset_tools.statistics import measure

MARK = "made by `recbole-llmfashion simulate`"


def new_share(folder: AtomicFolder) -> float:
    """The share of the catalogue that arrived within the simulated year (C1)."""
    return float((folder.items["available_from"] >= START_SECONDS).mean())


def render(folder: AtomicFolder, category: Category, command: str) -> str:
    """The text of the README.md."""
    s, b = measure(folder), category.behaviour
    return f"""# {folder.name}: SIMULATED data

Nobody shopped here. Every user, brand, item, query and purchase in this folder was {MARK}:

    {command}

The same command writes the same bytes. Results on it say that code works, not how good a method is on real shoppers.

## What is planted
- **Turnover (C1).** Items arrive and fade: about {b.new_share:.0%} of the families arrive within the year
  (`available_from`), and what an item attracts falls by a factor e every {b.fade_days:.0f} days.
- **Comparison (C2).** Families have variants in color and size; clicks walk from a result to another color, to the
  shopper's size, to a neighbour in price, or to another result.
- **Season, occasion, holiday (C3).** What is needed follows the calendar (2023-09-01 to 2024-08-30 UTC): winter and
  summer types, weddings in June, back to school, gifts before Christmas and Valentine's Day.
- **Queries (C4).** The same need is said in many ways: synonyms, missing words, word order, typos.
- **Tastes.** Each user has favourite colors and brands, a price level, a style, a size, favoured types. A purchase is
  drawn from what was looked at, by fit, with noise. Brands and types recur across sessions; an accessory may follow.
- **Search.** A page of at most 8 results: text match plus popularity, age and season, with noise, some pages filtered
  by size. What is looked at falls with the position. About a fifth of the sessions begin without a search.

Item ids are random numbers; their order, like the order of the rows in `.item`, says nothing. Electronics and toys are
contrasts: the same process with less of C1 to C4.

## What came out
| | |
|---|---|
| users | {s.users:,} |
| items in the catalogue (seen in a click or purchase) | {s.items:,} ({s.items_seen:,}) |
| interactions after the paper's click filter, as Table 1 counts them | {s.interactions:,} |
| mean length (Table 1: {category.mean_length:.2f}) | {s.mean_length:.2f} |
| interactions per item (Table 1: {category.mean_length * category.users / category.items:.2f}) | {s.per_item:.2f} |
| rows in `.inter`, all clicks kept | {s.rows:,} |
| share of purchases in them | {s.purchase_share:.3f} |
| items that arrived within the year | {new_share(folder):.3f} |
| searches | {s.searches:,} |
| unique queries | {s.unique_queries:,} |
"""
