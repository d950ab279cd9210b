"""The commands `validate`, `clean`, `describe-images` and `simulate`."""

import shlex
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from recbole_llmfashion.cli.options import (
    FieldFiles,
    ItemField,
    TimeField,
    UserField,
    field_names,
    folder_option,
    given_fields,
)
from recbole_llmfashion.data.location import SIMULATED
from recbole_llmfashion.errors import UserError

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder of a dataset; its files are named after it")]


def register(app: typer.Typer) -> None:
    """Adds the commands to `app`."""
    app.command("validate")(_validate)
    app.command("clean")(_clean)
    app.command("describe-images")(_describe_images)
    app.command("simulate")(simulate)


def _validate(
    folder: _Folder,
    config_files: FieldFiles = None,
    user: UserField = None,
    item: ItemField = None,
    time: TimeField = None,
) -> None:
    """List the errors in atomic files: file, line, column, what is expected. Status 2 if there are any."""
    from recbole_llmfashion.dataset_tools.validate import validate

    names = field_names(folder, config_files, given_fields(user, item, time))
    report = validate(folder, show_progress=True, names=names)
    for line in [*report.counts, *(error.problem for error in report.problems)]:
        typer.echo(line)
    if report.unlisted:
        typer.echo(f"and {report.unlisted:,} more")
    if report.problems:
        fix = "; clean cannot fix them, no user would be left: check the action column or add data"
        if report.can_be_cleaned:
            fix = f"; `{shlex.join(['recbole-llmfashion', 'clean', *names.options])}` fixes them"
        fix = fix if report.counts else ""
        fix = next((f"; {error.instead}" for error in report.problems if error.instead), fix)
        least = "at least " if report.counts else ""  # of rows out of order, only the first of a kind is looked for
        typer.echo(f"{folder}: {least}{len(report.problems) + report.unlisted:,} problems{fix}")
        raise typer.Exit(2)
    typer.echo(f"{folder}: clean")


def _clean(
    folder: _Folder,
    out: Annotated[Path | None, folder_option("--out", "folder to write; default: in place")] = None,
    config_files: FieldFiles = None,
    user: UserField = None,
    item: ItemField = None,
    time: TimeField = None,
) -> None:
    """Sort a log, cut it after each user's final purchase, drop users without one, and count what was removed."""
    from recbole_llmfashion.data.atomic.folder import read_folder
    from recbole_llmfashion.data.atomic.time_order import time_order
    from recbole_llmfashion.data.atomic.writer import write_folder
    from recbole_llmfashion.dataset_tools.clean import clean, write_elsewhere

    option = "--out" if out is not None else ""
    with _own_dataset(folder, out or folder, option):
        names = field_names(folder, config_files, given_fields(user, item, time))
        cleaned, counts = clean(read_folder(folder, show_progress=True, names=names))
        if out is not None and out.resolve() != folder.resolve():
            write_elsewhere(cleaned, out)
        else:
            write_folder(cleaned, option=option)
    for line in [*counts.lines(), *time_order(cleaned.interactions).lines()]:
        typer.echo(line)


def _describe_images(
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="folder of pictures, each named after its item: 417496.jpg")
    ],
    out: Annotated[Path, folder_option("--out", "folder of the dataset, which gets what the pictures say")],
    clip_model: Annotated[
        str, typer.Option("--clip_model", metavar="NAME", help="open_clip's model name")
    ] = "ViT-B-32",
    clip_pretrained: Annotated[
        str | None,
        typer.Option(
            "--clip_pretrained", metavar="TAG", help="tag of the model, or a checkpoint file; without it, pixels alone"
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="least lead of a label's probability over the second; default 0.2"),
    ] = None,
    config_files: FieldFiles = None,
    user: UserField = None,
    item: ItemField = None,
    time: TimeField = None,
) -> None:
    """Describe a dataset's items by their pictures: columns of .item, and vectors for the list image of the fusion."""
    from recbole_llmfashion.data.atomic.folder import read_folder
    from recbole_llmfashion.data.atomic.writer import write_folder
    from recbole_llmfashion.data.images.image_file import images_path
    from recbole_llmfashion.dataset_tools.images.describe import describe_images, readme_with_pictures
    from recbole_llmfashion.dataset_tools.images.labels import MARGIN

    if margin is not None and clip_pretrained is None:
        raise UserError("--margin: only labels by a CLIP model have a margin; set --clip_pretrained, or leave it out")
    with _own_dataset(out, out, "--out"):
        names = field_names(out, config_files, given_fields(user, item, time))
        folder = read_folder(out, show_progress=True, names=names)
        towers = None
        if clip_pretrained is not None:
            from recbole_llmfashion.embedding.clip_images import load_towers

            towers = load_towers(clip_model, clip_pretrained)
        described = describe_images(images, folder, towers, MARGIN if margin is None else margin, show_progress=True)
        further: list[tuple[str, str | bytes]] = [(images_path(out, folder.name).name, described.images)]
        if (readme := out / "README.md").is_file():
            options = (
                ["--clip_model", clip_model, "--clip_pretrained", Path(clip_pretrained).name] if clip_pretrained else []
            )
            options += [] if margin is None else ["--margin", str(margin)]
            words = [
                "recbole-llmfashion",
                "describe-images",
                "--images",
                images.name,
                "--out",
                f"dataset/{folder.name}",
            ]
            text = readme.read_text(encoding="utf-8", errors="replace")
            further.append(("README.md", readme_with_pictures(text, shlex.join([*words, *options]), described.lines)))
        write_folder(described.folder, lambda data_sha256: further, option="--out")
    for line in described.lines:
        typer.echo(line)
    typer.echo(f"written: {out / folder.name}.item and {images_path(out, folder.name)}")


def _own_dataset(folder: Path, target: Path, option: str) -> AbstractContextManager[None]:
    """Makes `target` this command's own before `folder` is read: no writer's change between the two is lost.

    Nothing is made for a dataset that is not there: its reading says so.
    """
    from recbole_llmfashion.files.changes import own_folder

    return own_folder(target, option) if folder.is_dir() else nullcontext()


def simulate(
    category: Annotated[str, typer.Option(help=f"one of {', '.join(SIMULATED)}")],
    out: Annotated[Path, folder_option("--out", "folder to write; its name is the dataset's")],
    users: Annotated[int | None, typer.Option(help="number of users")] = None,
    table1: Annotated[bool, typer.Option("--table1", help="as many users as Table 1 has")] = False,
    items: Annotated[int | None, typer.Option(help="number of items; Table 1's ratio by default")] = None,
    mean_length: Annotated[
        float | None, typer.Option("--mean-length", "--mean_length", help="item actions per user; Table 1 by default")
    ] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same bytes on one kind of machine")] = 1,
    images: Annotated[Path | None, folder_option("--images", "new folder for a drawn picture of each item")] = None,
) -> None:
    """Simulate one year of a shop, and write atomic files with a README.md that says so."""
    from recbole_llmfashion.data.atomic.folder import check_clean
    from recbole_llmfashion.dataset_tools.simulate.simulation import CATEGORIES, SimulationSettings, simulate_category
    from recbole_llmfashion.dataset_tools.simulate.write import command_line, refuse_foreign, write
    from recbole_llmfashion.dataset_tools.statistics import measure
    from recbole_llmfashion.files.changes import own_folder

    if (users is None) is not table1:
        raise UserError("simulate: give --users N, or --table1 for the paper's full size, and not both")
    if users is None:
        users = CATEGORIES[category].users if category in CATEGORIES else 1
    settings = SimulationSettings(category=category, users=users, seed=seed, items=items, mean_length=mean_length)
    kind, *_ = settings.resolved()
    if images is not None:
        from recbole_llmfashion.dataset_tools.simulate.pictures.write import refuse_pictures, write_pictures

        refuse_pictures(images, out)
    with own_folder(out, "--out"):
        refuse_foreign(out)
        folder = simulate_category(settings, out, show_progress=True)
        check_clean(folder)
        write(folder, settings)
    s = measure(folder)
    typer.echo(
        f"{out}: simulated {kind.name}, {s.users:,} users, {s.items:,} items, {s.interactions:,} interactions after "
        f"the click filter (mean length {s.mean_length:.2f}), {s.searches:,} searches"
    )
    if images is not None:
        command = command_line(folder.name, settings, images)
        pictures, distinct = write_pictures(images, settings, folder.items, command, show_progress=True)
        typer.echo(f"{images}: drew {pictures:,} pictures, {distinct:,} distinct ones")
