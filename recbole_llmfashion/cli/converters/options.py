"""Options that several commands of `convert` have, and what their commands end with."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recbole_llmfashion.cli.options import folder_option
from recbole_llmfashion.errors import UserError

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.convert.convert import LogSource
    from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries, Describe

MAX_BROKEN = 0.01  # as in readers/bad_lines.py
Attributes = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=COL", help="further column of the items, which .item keeps as NAME; repeatable"),
]
Out = Annotated[Path, folder_option("--out", "folder to write; its name is the dataset's")]
Core = Annotated[int, typer.Option("--k-core", min=0, help="minimum number of actions per user and item; 0: any")]
Since = Annotated[str | None, typer.Option(metavar="DAY", help="first day kept, like 2021-01-31 (UTC)")]
Until = Annotated[str | None, typer.Option(metavar="DAY", help="last day kept")]
DeriveQueries = Annotated[
    str, typer.Option("--queries", metavar="none|category", help="category: derive searches from EARLIER items")
]
AllItems = Annotated[bool, typer.Option("--all-items", help="keep items without an action")]
MaxBroken = Annotated[
    float,
    typer.Option("--max-broken", min=0.0, max=1.0, help="a file with a larger share of unusable lines is rejected"),
]


def further_columns(options: Iterable[str] | None, with_option: Sequence[str] = ()) -> dict[str, str]:
    """The columns that --attribute names, by their name in `.item`."""
    from recbole_llmfashion.dataset_tools.convert.attributes import parse_attributes

    return parse_attributes(options or (), with_option)


def derived_queries(queries: str) -> "DerivedQueries":
    """The value of --queries.

    Raises:
        UserError: it is unknown.
    """
    from recbole_llmfashion.dataset_tools.convert.finish import DerivedQueries

    if queries not in list(DerivedQueries):
        raise UserError(f"--queries: expected one of {', '.join(DerivedQueries)}, found '{queries}'")
    return DerivedQueries(queries)


def convert_and_print(
    source: "LogSource",
    out: Path,
    k_core: int,
    since: str | None = None,
    until: str | None = None,
    queries: str = "none",
    all_items: bool = False,
    describe: "Describe | None" = None,
) -> None:
    """Convert a source, and print what was left out and where the dataset is."""
    from recbole_llmfashion.dataset_tools.convert.convert import ConvertSettings, convert_source

    settings = ConvertSettings(out, k_core, since, until, derived_queries(queries), all_items)
    print_notes(convert_source(source, settings, describe)[1], out)


def print_notes(notes: Iterable[str], out: Path) -> None:
    """Print the lines of a conversion."""
    for line in notes:
        typer.echo(line)
    typer.echo(f"written: {out}")
