"""The commands `convert table`, `convert amazon-2023`, `convert hm` and `convert recbole`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recbole_llmfashion.errors import UserError

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.convert.convert import LogSource
    from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries

MAX_BROKEN = 0.01  # as in readers/bad_lines.py
Action = Annotated[str | None, typer.Option(metavar="COL", help="click or purchase; default: all are purchases")]
Column = Annotated[str | None, typer.Option(metavar="COL")]
Attributes = Annotated[
    list[str] | None,
    typer.Option(metavar="COL", help="further column of the items, which .item keeps under its name; repeatable"),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="folder to write; its name is the dataset's")]
Core = Annotated[int, typer.Option("--k-core", min=0, help="minimum number of actions per user and item; 0: any")]
Since = Annotated[str | None, typer.Option(metavar="DAY", help="first day kept, like 2021-01-31 (UTC)")]
Until = Annotated[str | None, typer.Option(metavar="DAY", help="last day kept")]
DeriveQueries = Annotated[
    str, typer.Option("--queries", metavar="none|category", help="category: derive searches from EARLIER items")
]
TimeUnit = Annotated[str, typer.Option(metavar="UNIT", help="unit of times that are numbers: s, ms, us or ns")]
AllItems = Annotated[bool, typer.Option("--all-items", help="keep items without an action")]
MaxBroken = Annotated[
    float,
    typer.Option("--max-broken", min=0.0, max=1.0, help="a file with a larger share of unusable lines is rejected"),
]


def register(app: typer.Typer) -> None:
    """Adds the group `convert` to the command line."""
    convert = typer.Typer(
        help="Make clean atomic files from other formats.", no_args_is_help=True, rich_markup_mode=None
    )
    convert.command("table")(_table)
    convert.command("amazon-2023")(_amazon)
    convert.command("hm")(_hm)
    convert.command("recbole")(_recbole)
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

    columns = TableColumns(
        user, item, time, title, action, query, results, brand, color, size, category, tuple(attribute or ()), time_unit
    )
    places = (interactions, items, columns, out, searches)
    notes = convert_table(*places, drop_unknown_items, _derived(queries), show_progress=True)[1]
    _print_notes(notes, out)


def _amazon(
    out: Out,
    reviews: Annotated[Path | None, typer.Option(metavar="FILE", help="reviews, .jsonl or .jsonl.gz")] = None,
    metadata: Annotated[Path | None, typer.Option(metavar="FILE", help="products, .jsonl or .jsonl.gz")] = None,
    download: Annotated[
        str | None, typer.Option(metavar="CATEGORY", help="fetch both through huggingface_hub, as All_Beauty")
    ] = None,
    clicks: Annotated[bool, typer.Option("--clicks", help="reviews without a verified purchase are clicks")] = False,
    k_core: Core = 0,
    since: Since = None,
    until: Until = None,
    queries: DeriveQueries = "none",
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from a category of Amazon Reviews 2023 (McAuley Lab)."""
    from recbole_llmfashion.dataset_tools.convert.sources.amazon import Amazon2023

    if download is not None:
        if reviews or metadata:
            raise UserError("--download CATEGORY takes the place of --reviews and --metadata; leave one out")
        from recbole_llmfashion.dataset_tools.convert.readers.download import amazon_files, fetch

        reviews, metadata = fetch(amazon_files(download), typer.echo)
    if reviews is None or metadata is None:
        raise UserError("expected files, found none; add --reviews FILE and --metadata FILE, or --download CATEGORY")
    source = Amazon2023(reviews, metadata, clicks, max_broken, show_progress=True)
    _convert(source, out, k_core, since, until, queries, all_items)


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
    source = HM(articles, transactions, written, max_broken, show_progress=True)
    _convert(source, out, k_core, since, until, queries, all_items)


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

    fields = Fields(title, user, item, time, action, brand, color, size, category, tuple(attribute or ()), time_unit)
    source = RecBoleDataset(folder, fields, drop_unknown_items, max_broken, show_progress=True)
    _convert(source, out, k_core, since, until, queries, all_items)


def _derived(queries: str) -> "DerivedQueries":
    from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries

    if queries not in list(DerivedQueries):
        raise UserError(f"--queries: expected one of {', '.join(DerivedQueries)}, found '{queries}'")
    return DerivedQueries(queries)


def _convert(
    source: "LogSource", out: Path, k_core: int, since: str | None, until: str | None, queries: str, all_items: bool
) -> None:
    from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source

    settings = ConvertSettings(out, k_core, since, until, _derived(queries), all_items)
    _print_notes(convert_source(source, settings)[1], out)


def _print_notes(notes: Iterable[str], out: Path) -> None:
    for line in notes:
        typer.echo(line)
    typer.echo(f"written: {out}")
