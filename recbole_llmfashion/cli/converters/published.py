"""The commands `convert rent-the-runway`, `modcloth`, `retailrocket`, `diginetica`, `kuaisearch` and `kuaisar`."""

from pathlib import Path
from typing import Annotated

import typer

from recbole_llmfashion.cli.converters.options import (
    MAX_BROKEN,
    AllItems,
    Attributes,
    Core,
    DeriveQueries,
    MaxBroken,
    Out,
    Since,
    Until,
    convert_and_print,
    further_columns,
)

TITLE_PROPERTY = "888"  # as in sources/published/retailrocket.py


def register_published(convert: typer.Typer) -> None:
    """Adds the commands to the group `convert`."""
    convert.command("rent-the-runway")(_rent_the_runway)
    convert.command("modcloth")(_modcloth)
    convert.command("retailrocket")(_retailrocket)
    convert.command("diginetica")(_diginetica)
    convert.command("kuaisearch")(_kuaisearch)
    convert.command("kuaisar")(_kuaisar)


def _rent_the_runway(
    reviews: Annotated[Path, typer.Option(metavar="FILE", help="renttherunway_final_data.json, or .json.gz")],
    out: Out,
    attribute: Attributes = None,
    k_core: Core = 0,
    since: Since = None,
    until: Until = None,
    queries: DeriveQueries = "none",
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from Rent the Runway's reviews, with the occasion of the rentals."""
    from recbole_llmfashion.dataset_tools.convert.sources.published.clothing_fit import RENT_THE_RUNWAY, ClothingFit

    source = ClothingFit(reviews, RENT_THE_RUNWAY, max_broken, show_progress=True, further=further_columns(attribute))
    convert_and_print(source, out, k_core, since, until, queries, all_items, source.describe)


def _modcloth(
    reviews: Annotated[Path, typer.Option(metavar="FILE", help="modcloth_final_data.json, or .json.gz")],
    out: Out,
    attribute: Attributes = None,
    k_core: Core = 0,
    queries: DeriveQueries = "none",
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from ModCloth's reviews, which have no dates."""
    from recbole_llmfashion.dataset_tools.convert.sources.published.clothing_fit import MODCLOTH, ClothingFit

    source = ClothingFit(reviews, MODCLOTH, max_broken, show_progress=True, further=further_columns(attribute))
    convert_and_print(source, out, k_core, queries=queries, all_items=all_items, describe=source.describe)


def _retailrocket(
    events: Annotated[Path, typer.Option(metavar="FILE", help="events.csv")],
    properties: Annotated[
        list[Path], typer.Option(metavar="FILE", help="item_properties_part1.csv; once more for _part2.csv")
    ],
    out: Out,
    attribute: Attributes = None,
    category_tree: Annotated[Path | None, typer.Option(metavar="FILE", help="category_tree.csv")] = None,
    title_property: Annotated[
        str, typer.Option(metavar="NUMBER", help="the hashed property whose first words are the title")
    ] = TITLE_PROPERTY,
    k_core: Core = 0,
    since: Since = None,
    until: Until = None,
    queries: DeriveQueries = "none",
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from RetailRocket's events and item properties."""
    from recbole_llmfashion.dataset_tools.convert.sources.published.retailrocket import RetailRocket

    further = further_columns(attribute)
    source = RetailRocket(
        events, properties, category_tree, title_property, max_broken, show_progress=True, further=further
    )
    convert_and_print(source, out, k_core, since, until, queries, all_items)


def _diginetica(
    views: Annotated[Path, typer.Option(metavar="FILE", help="train-item-views.csv")],
    purchases: Annotated[Path, typer.Option(metavar="FILE", help="train-purchases.csv")],
    queries_file: Annotated[Path, typer.Option(metavar="FILE", help="train-queries.csv")],
    products: Annotated[Path, typer.Option(metavar="FILE", help="products.csv")],
    categories: Annotated[Path, typer.Option(metavar="FILE", help="product-categories.csv")],
    out: Out,
    attribute: Attributes = None,
    k_core: Core = 0,
    since: Since = None,
    until: Until = None,
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from Diginetica's views, purchases and queries (CIKM Cup 2016)."""
    from recbole_llmfashion.dataset_tools.convert.sources.published.diginetica import Diginetica, DigineticaFiles

    files = DigineticaFiles(views, purchases, queries_file, products, categories)
    source = Diginetica(files, max_broken, show_progress=True, further=further_columns(attribute))
    convert_and_print(source, out, k_core, since, until, all_items=all_items)


def _kuaisearch(
    recall: Annotated[Path, typer.Option(metavar="FILE", help="recall.jsonl or recall_lite.jsonl, or .gz")],
    items: Annotated[Path, typer.Option(metavar="FILE", help="items.jsonl, items_lite.jsonl or corpus.jsonl, or .gz")],
    out: Out,
    attribute: Attributes = None,
    k_core: Core = 0,
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from KuaiSearch's recall table and items."""
    from recbole_llmfashion.dataset_tools.convert.sources.published.kuaisearch import KuaiSearch

    source = KuaiSearch(recall, items, max_broken, show_progress=True, further=further_columns(attribute))
    convert_and_print(source, out, k_core, all_items=all_items)


def _kuaisar(
    recommended: Annotated[Path, typer.Option(metavar="FILE", help="rec_inter.csv")],
    searched: Annotated[Path, typer.Option(metavar="FILE", help="src_inter.csv")],
    items: Annotated[Path, typer.Option(metavar="FILE", help="item_features.csv")],
    out: Out,
    attribute: Attributes = None,
    k_core: Core = 0,
    since: Since = None,
    until: Until = None,
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from KuaiSAR; its clicks become purchases, because it has none."""
    from recbole_llmfashion.dataset_tools.convert.sources.published.kuaisar import KuaiSAR

    source = KuaiSAR(recommended, searched, items, max_broken, show_progress=True, further=further_columns(attribute))
    convert_and_print(source, out, k_core, since, until, all_items=all_items)
