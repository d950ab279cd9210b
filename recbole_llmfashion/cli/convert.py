"""The group `convert`, and its commands `table`, `amazon-2023`, `hm` and `recbole`; converters/ has the others."""

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
    derived_queries,
    further_columns,
    print_notes,
)
from recbole_llmfashion.cli.converters.published import register_published
from recbole_llmfashion.cli.converters.sequences import register_sequences
from recbole_llmfashion.errors import UserError

_TEXT_OPTIONS = ("title", "brand", "color", "size", "category")  # of the commands that name every column
Action = Annotated[str | None, typer.Option(metavar="COL", help="click or purchase; default: all are purchases")]
Column = Annotated[str | None, typer.Option(metavar="COL")]
Details = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=KEY", help="key of details, which .item keeps as NAME; repeatable"),
]
TimeUnit = Annotated[str, typer.Option(metavar="UNIT", help="unit of times that are numbers: s, ms, us or ns")]


def register(app: typer.Typer) -> None:
    """Adds the group `convert` to the command line."""
    convert = typer.Typer(
        help="Make clean atomic files from other formats.", no_args_is_help=True, rich_markup_mode=None
    )
    convert.command("table")(_table)
    convert.command("amazon-2023")(_amazon)
    convert.command("hm")(_hm)
    convert.command("recbole")(_recbole)
    register_published(convert)
    register_sequences(convert)
    app.add_typer(convert, name="convert")


def _table(
    interactions: Annotated[Path, typer.Option(metavar="FILE", help="events: .csv, .tsv or .parquet")],
    items: Annotated[Path, typer.Option(metavar="FILE", help="catalogue: .csv, .tsv or .parquet")],
    user: Annotated[str, typer.Option(metavar="COL", help="user id, in interactions and searches")],
    item: Annotated[str, typer.Option(metavar="COL", help="item id, in interactions and items")],
    time: Annotated[str, typer.Option(metavar="COL", help="seconds or ISO dates, in interactions and searches")],
    title: Annotated[str, typer.Option(metavar="COL", help="item title")],
    out: Out,
    action: Action = None,
    searches: Annotated[Path | None, typer.Option(metavar="FILE", help="searches: .csv, .tsv or .parquet")] = None,
    query: Annotated[str | None, typer.Option(metavar="COL", help="text of the search")] = None,
    results: Annotated[str | None, typer.Option(metavar="COL", help="item ids shown, by position")] = None,
    brand: Column = None,
    color: Column = None,
    size: Column = None,
    category: Column = None,
    attribute: Attributes = None,
    drop_unknown_items: Annotated[
        bool, typer.Option("--drop-unknown-items", help="leave out events of items that the catalogue lacks")
    ] = False,
    queries: DeriveQueries = "none",
    time_unit: TimeUnit = "s",
) -> None:
    """Make clean atomic files from tables, and print what was renamed, cut and removed."""
    from recbole_llmfashion.dataset_tools.convert.sources.table import TableColumns, convert_table

    further = further_columns(attribute, _TEXT_OPTIONS)
    texts = (brand, color, size, category)
    columns = TableColumns(user, item, time, title, action, query, results, *texts, further, time_unit)
    places = (interactions, items, columns, out, searches)
    notes = convert_table(*places, drop_unknown_items, derived_queries(queries), show_progress=True)[1]
    print_notes(notes, out)


def _amazon(
    out: Out,
    reviews: Annotated[Path | None, typer.Option(metavar="FILE", help="reviews, .jsonl or .jsonl.gz")] = None,
    metadata: Annotated[Path | None, typer.Option(metavar="FILE", help="products, .jsonl or .jsonl.gz")] = None,
    download: Annotated[
        str | None, typer.Option(metavar="CATEGORY", help="fetch both through huggingface_hub, as All_Beauty")
    ] = None,
    clicks: Annotated[bool, typer.Option("--clicks", help="reviews without a verified purchase are clicks")] = False,
    attribute: Details = None,
    k_core: Core = 0,
    since: Since = None,
    until: Until = None,
    queries: DeriveQueries = "none",
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from a category of Amazon Reviews 2023 (McAuley Lab)."""
    from recbole_llmfashion.dataset_tools.convert.sources.amazon import Amazon2023

    further = further_columns(attribute)
    if download is not None:
        if reviews or metadata:
            raise UserError("--download CATEGORY takes the place of --reviews and --metadata; leave one out")
        from recbole_llmfashion.dataset_tools.convert.readers.download import amazon_files, fetch

        reviews, metadata = fetch(amazon_files(download), typer.echo)
    if reviews is None or metadata is None:
        raise UserError("expected files, found none; add --reviews FILE and --metadata FILE, or --download CATEGORY")
    source = Amazon2023(reviews, metadata, clicks, max_broken, show_progress=True, further=further)
    convert_and_print(source, out, k_core, since, until, queries, all_items)


def _hm(
    out: Out,
    articles: Annotated[Path | None, typer.Option(metavar="FILE", help="articles.csv")] = None,
    transactions: Annotated[Path | None, typer.Option(metavar="FILE", help="transactions_train.csv")] = None,
    queries_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="queries.csv of microsoft/hnm-search-data")
    ] = None,
    first_transaction: Annotated[
        int, typer.Option(min=0, max=1, help="transaction_id of the first row of transactions_train.csv")
    ] = 0,
    qrels: Annotated[Path | None, typer.Option(metavar="FILE", help="qrels.csv, which checks that number")] = None,
    download: Annotated[bool, typer.Option("--download", help="fetch all four through huggingface_hub")] = False,
    attribute: Attributes = None,
    k_core: Core = 0,
    since: Since = None,
    until: Until = None,
    queries: DeriveQueries = "none",
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from H&M's articles and transactions, and where given the queries of hnm-search-data."""
    from recbole_llmfashion.dataset_tools.convert.sources.hm import HM
    from recbole_llmfashion.dataset_tools.convert.sources.hm_queries import HMQueries

    further = further_columns(attribute)
    if download:
        if articles or transactions or queries_file or qrels:
            raise UserError("--download takes the place of the four files; leave one out")
        from recbole_llmfashion.dataset_tools.convert.readers.download import HM_FILES, fetch

        articles, transactions, queries_file, qrels = fetch(HM_FILES, typer.echo)
    if articles is None or transactions is None:
        raise UserError("expected files, found none; add --articles FILE and --transactions FILE, or --download")
    if qrels is not None and queries_file is None:
        raise UserError("--qrels checks the queries: add --queries-file FILE")
    written = None if queries_file is None else HMQueries(queries_file, first_transaction, qrels)
    source = HM(articles, transactions, written, max_broken, show_progress=True, further=further)
    convert_and_print(source, out, k_core, since, until, queries, all_items)


def _recbole(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="holds one .inter, and the .item of its name")],
    title: Annotated[str, typer.Option(metavar="COL", help="item title, in .item; token or token_seq")],
    out: Out,
    user: Annotated[str, typer.Option(metavar="COL")] = "user_id",
    item: Annotated[str, typer.Option(metavar="COL")] = "item_id",
    time: Annotated[str, typer.Option(metavar="COL")] = "timestamp",
    action: Action = None,
    brand: Column = None,
    color: Column = None,
    size: Column = None,
    category: Column = None,
    attribute: Attributes = None,
    drop_unknown_items: Annotated[
        bool, typer.Option("--drop-unknown-items", help="leave out events of items without a title in .item")
    ] = False,
    k_core: Core = 0,
    since: Since = None,
    until: Until = None,
    queries: DeriveQueries = "none",
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
    time_unit: TimeUnit = "s",
) -> None:
    """Make clean atomic files from a RecBole dataset whose item text sits in token or token_seq columns."""
    from recbole_llmfashion.dataset_tools.convert.sources.recbole import Fields, RecBoleDataset

    further = further_columns(attribute, _TEXT_OPTIONS)
    fields = Fields(title, user, item, time, action, brand, color, size, category, further, time_unit)
    source = RecBoleDataset(folder, fields, drop_unknown_items, max_broken, show_progress=True)
    convert_and_print(source, out, k_core, since, until, queries, all_items)
