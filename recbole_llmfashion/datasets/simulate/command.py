"""The `simulate` command: settings from the terminal, a folder on the disk.

It knows files and flags; nothing of what is simulated.
"""

from pathlib import Path
from typing import Annotated

import typer

from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, write_folder
from recbole_llmfashion.dataset_tools.simulate.readme import MARK, render
from recbole_llmfashion.dataset_tools.simulate.simulation import (
    CATEGORIES,
    Settings,
    simulate_category,
)
from recbole_llmfashion.dataset_tools.statistics import measure
from recbole_llmfashion.errors import UserError

_README = "README.md"


def register(app: typer.Typer) -> None:
    """Add `simulate` to the command line."""
    app.command("simulate")(simulate)


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
    settings = Settings(category=category, users=users, seed=seed, items=items, mean_length=mean_length)
    kind, *_ = settings.resolved()
    _refuse_foreign(out)
    folder = simulate_category(settings, out, show_progress=True)
    check_clean(folder)
    out.mkdir(parents=True, exist_ok=True)
    write(folder, settings)
    s = measure(folder)
    typer.echo(
        f"{out}: simulated {kind.name}, {s.users:,} users, {s.items:,} items, {s.interactions:,} interactions after "
        f"the click filter (mean length {s.mean_length:.2f}), {s.searches:,} searches"
    )


def write(folder: AtomicFolder, settings: Settings) -> None:
    """Write the atomic files and the README.md."""
    write_folder(folder)
    text = render(folder, CATEGORIES[settings.category], command_line(folder.name, settings))
    (folder.path / _README).write_text(text, encoding="utf-8")


def command_line(name: str, settings: Settings) -> str:
    """The command that makes the same files, with an --out relative to the project."""
    s = settings
    flags = [f"--category {s.category}", f"--users {s.users}"]
    flags += [f"--items {s.items}"] if s.items is not None else []
    flags += [f"--mean_length {s.mean_length}"] if s.mean_length is not None else []
    return " ".join(["recbole-llmfashion simulate", *flags, f"--seed {s.seed}", f"--out dataset/{name}"])


def _refuse_foreign(out: Path) -> None:
    """Only an empty folder, or one that the simulator made under the same name, may be written to."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder")
    held = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    name = out.resolve().name
    ours = {_README, *(name + suffix for suffix in (".inter", ".search", ".item"))}
    foreign = [file for file in held if file not in ours]
    if foreign:
        raise UserError(f"--out {out}: holds {foreign[0]}, which is no file of a simulated {name}; name another folder")
    readme = out / _README
    if held and not (readme.is_file() and MARK in readme.read_text(encoding="utf-8", errors="replace")):
        raise UserError(f"--out {out}: holds files that the simulator did not make; name another folder")
