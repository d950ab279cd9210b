"""The command `analyze`: Table 1 and the characteristics C1 to C4 of clean folders."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from recbole_llmfashion.cli.options import (
    FieldFiles,
    ItemField,
    TimeField,
    UserField,
    field_names,
    folder_option,
    given_fields,
)
from recbole_llmfashion.errors import UserError

OUTPUT = Path("results/analyze")


def register(app: typer.Typer) -> None:
    """Add `analyze` to the command line."""
    app.command("analyze")(analyze)


def analyze(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR..", help="clean folders of datasets", show_default=False)
    ],
    output: Annotated[Path, folder_option("--output", "folder to write")] = OUTPUT,
    contrast: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="a given folder that the others are compared with; repeatable"),
    ] = None,
    config_files: FieldFiles = None,
    user: UserField = None,
    item: ItemField = None,
    time: TimeField = None,
) -> None:
    """Table 1 and the fashion characteristics C1 to C4 (section 3 of the paper) of any datasets."""
    from recbole_llmfashion.data.atomic.folder import read_folder
    from recbole_llmfashion.files.changes import own_folder
    from recbole_llmfashion.study.analysis.document import assemble
    from recbole_llmfashion.study.analysis.measure import measure
    from recbole_llmfashion.study.report.write import write

    names = _names(folders)
    compared = _contrasts(names, contrast or [])
    words = ["recbole-llmfashion", "analyze", *map(str, folders), "--output", str(output)]
    words += [word for name in contrast or [] for word in ("--contrast", name)]
    words += [word for file in config_files or [] for word in ("--config_files", file)]
    given = given_fields(user, item, time)
    words += [f"--{key}={name}" for key, name in given.items()]
    names_in = {folder: field_names(folder, config_files, given) for folder in folders}
    with own_folder(output, "--output"):
        with tqdm(folders, desc="analyzing", unit="folder") as bar:  # ends its line before an error is printed
            measured = [measure(read_folder(folder, names=names_in[folder])) for folder in bar]
        write(output, assemble(measured, compared, shlex.join(words)))
    typer.echo((output / "table.md").read_text(encoding="utf-8"))
    typer.echo(f"written: {output}/results.json, table.md, table.tex, report.html")


def _names(folders: Sequence[Path]) -> list[str]:
    names = [folder.resolve().name for folder in folders]
    for position, name in enumerate(names):
        if name in names[:position]:
            first = folders[names.index(name)]
            raise UserError(
                f"analyze: {first} and {folders[position]} are both named '{name}'; rename or leave out one"
            )
    return names


def _contrasts(names: Sequence[str], given: Sequence[str]) -> list[str]:
    from recbole_llmfashion.study.analysis.contrasts import CONTRASTS

    for name in given:
        if name not in names:
            raise UserError(f"--contrast: '{name}' is none of the given folders: {', '.join(names)}")
    return list(dict.fromkeys(given)) or [name for name in CONTRASTS if name in names]
