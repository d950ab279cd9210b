"""The sub-commands `validate`, `clean` and `convert table`; the group `convert`, which other sources join.

Knows typer and what to print. Does NOT hold any of the work, and leaves errors to the command line.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from recbole_llmfashion.cli import convert as sources
from recbole_llmfashion.data.atomic.folder import check_clean, read_folder, write_folder
from recbole_llmfashion.dataset_tools.clean import clean
from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries
from recbole_llmfashion.dataset_tools.convert.sources.table import TableColumns, convert_table
from recbole_llmfashion.dataset_tools.simulate.simulation import CATEGORIES, SimulationSettings, simulate_category
from recbole_llmfashion.dataset_tools.simulate.write import refuse_foreign, write
from recbole_llmfashion.dataset_tools.statistics import measure
from recbole_llmfashion.dataset_tools.validate import validate
from recbole_llmfashion.errors import UserError

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder of a dataset; its files are named after it")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`; `convert` is a group."""
    app.command("validate")(_validate)
    app.command("clean")(_clean)
    app.command("simulate")(simulate)
    convert = typer.Typer(help="Make clean atomic files from other formats.", no_args_is_help=True)
    convert.command("table")(_table)
    sources.register(convert)
    app.add_typer(convert, name="convert")


def _validate(folder: _Folder) -> None:
    """List what is wrong with atomic files: file, line, column, what was expected. Status 2 if anything is."""
    found = validate(folder, show_progress=True)
    for line in [*found.counts, *(error.problem for error in found.problems)]:
        typer.echo(line)
    if found.unlisted:
        typer.echo(f"and {found.unlisted:,} more")
    if found.problems:
        mendable = "; run `recbole-llmfashion clean` to mend them" if found.counts else ""
        typer.echo(f"{folder}: {len(found.problems) + found.unlisted:,} problems{mendable}")
        raise typer.Exit(2)
    typer.echo(f"{folder}: clean")


def _clean(
    folder: _Folder,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="write there, not in place")] = None,
) -> None:
    """Order a log, cut it after each user's final purchase, leave out users of no use, and count what went."""
    cleaned, counts = clean(read_folder(folder, show_progress=True))
    if out is not None:
        cleaned = replace(cleaned, name=out.resolve().name, path=out)
    write_folder(cleaned)
    for line in counts.lines():
        typer.echo(line)


def _table(
    interactions: Annotated[Path, typer.Option(metavar="FILE", help="events: .csv, .tsv or .parquet")],
    items: Annotated[Path, typer.Option(metavar="FILE", help="catalogue: .csv, .tsv or .parquet")],
    user: Annotated[str, typer.Option(metavar="COL", help="user id, in interactions and searches")],
    item: Annotated[str, typer.Option(metavar="COL", help="item id, in interactions and items")],
    time: Annotated[str, typer.Option(metavar="COL", help="seconds or ISO dates, in interactions and searches")],
    title: Annotated[str, typer.Option(metavar="COL", help="item title")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder to write; its name is the dataset's")],
    action: Annotated[str | None, typer.Option(metavar="COL", help="click or purchase; without it, purchases")] = None,
    searches: Annotated[Path | None, typer.Option(metavar="FILE", help="searches: .csv, .tsv or .parquet")] = None,
    query: Annotated[str | None, typer.Option(metavar="COL", help="text of the search")] = None,
    results: Annotated[str | None, typer.Option(metavar="COL", help="item ids shown, by position")] = None,
    brand: Annotated[str | None, typer.Option(metavar="COL")] = None,
    color: Annotated[str | None, typer.Option(metavar="COL")] = None,
    size: Annotated[str | None, typer.Option(metavar="COL")] = None,
    category: Annotated[str | None, typer.Option(metavar="COL")] = None,
    drop_unknown_items: Annotated[
        bool, typer.Option("--drop-unknown-items", help="leave out events of items that the catalogue lacks")
    ] = False,
    queries: sources.DeriveQueries = DerivedQueries.none,
) -> None:
    """Make clean atomic files from tables; says what it took times for, renamed, cut and left out."""
    columns = TableColumns(user, item, time, title, action, query, results, brand, color, size, category)
    places = (interactions, items, columns, out, searches)
    for line in convert_table(*places, drop_unknown_items, queries, show_progress=True)[1]:
        typer.echo(line)
    typer.echo(f"written: {out}")


def simulate(
    category: Annotated[str, typer.Option(help=f"one of {', '.join(CATEGORIES)}")],
    out: Annotated[Path, typer.Option(help="folder to write; its name is the dataset's")],
    users: Annotated[int | None, typer.Option(help="number of users")] = None,
    table1: Annotated[bool, typer.Option("--table1", help="as many users as Table 1 has")] = False,
    items: Annotated[int | None, typer.Option(help="number of items; Table 1's ratio by default")] = None,
    mean_length: Annotated[
        float | None, typer.Option("--mean-length", "--mean_length", help="item actions a user; Table 1 by default")
    ] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same bytes")] = 1,
) -> None:
    """Simulate a shop's year and write it as atomic files, with a README.md that says so."""
    if (users is None) is not table1:
        raise UserError("simulate: give --users N, or --table1 for the paper's full size, and not both")
    if users is None:
        users = CATEGORIES[category].users if category in CATEGORIES else 1
    settings = SimulationSettings(category=category, users=users, seed=seed, items=items, mean_length=mean_length)
    kind, *_ = settings.resolved()
    refuse_foreign(out)
    folder = simulate_category(settings, out, show_progress=True)
    check_clean(folder)
    out.mkdir(parents=True, exist_ok=True)
    write(folder, settings)
    s = measure(folder)
    typer.echo(
        f"{out}: simulated {kind.name}, {s.users:,} users, {s.items:,} items, {s.interactions:,} interactions after "
        f"the click filter (mean length {s.mean_length:.2f}), {s.searches:,} searches"
    )
