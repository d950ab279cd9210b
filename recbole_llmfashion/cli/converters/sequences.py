"""The commands `convert sequences` and `convert minionerec`."""

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
    convert_and_print,
    further_columns,
)


def register_sequences(convert: typer.Typer) -> None:
    """Adds the commands to the group `convert`."""
    convert.command("sequences")(_sequences)
    convert.command("minionerec")(_minionerec)


def _sequences(
    sequences: Annotated[
        Path, typer.Option(metavar="FILE", help="a user and the items, separated by spaces, a line per user")
    ],
    items: Annotated[
        Path, typer.Option(metavar="FILE", help="an id and a text, a line per item; or a .json with a key per item")
    ],
    out: Out,
    attribute: Attributes = None,
    drop_unknown_items: Annotated[
        bool, typer.Option("--drop-unknown-items", help="leave out items of sequences that the items lack")
    ] = False,
    k_core: Core = 0,
    queries: DeriveQueries = "none",
    all_items: AllItems = False,
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from sequences of items, as IDGenRec and GRLM publish them."""
    from recbole_llmfashion.dataset_tools.convert.sources.sequences.sequence_files import SequenceFiles

    further = further_columns(attribute)
    source = SequenceFiles(sequences, items, drop_unknown_items, max_broken, show_progress=True, further=further)
    convert_and_print(source, out, k_core, queries=queries, all_items=all_items)


def _minionerec(
    windows: Annotated[
        list[Path], typer.Option(metavar="FILE", help="the CSV of train; once more for valid, and for test")
    ],
    out: Out,
    k_core: Core = 0,
    queries: DeriveQueries = "none",
    max_broken: MaxBroken = MAX_BROKEN,
) -> None:
    """Make clean atomic files from MiniOneRec's windows, joined to one sequence per user."""
    from recbole_llmfashion.dataset_tools.convert.sources.sequences.windows import Windows

    source = Windows(windows, max_broken, show_progress=True)
    convert_and_print(source, out, k_core, queries=queries)
