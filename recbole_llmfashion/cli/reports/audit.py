"""The command `audit`: canaries in a copy of a dataset, and what a run tells of its customers."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from recbole_llmfashion.cli.options import WORDS, FieldFiles, field_names, folder_option
from recbole_llmfashion.cli.terminal import announce_loading
from recbole_llmfashion.errors import UserError, check_extra

OUTPUT = Path("results/audit")
PLANTS = ("out", "counts", "canaries_per_count", "candidates", "left_out")
AUDITS = ("dataset", "held_out", "canaries", "users", "texts", "samples", "output")


class _AuditCommand(TyperCommand):
    """Keeps its words for the page."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer does."""
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)


def register_audit(app: typer.Typer) -> None:
    """Adds `audit` to the command line."""
    app.command("audit", cls=_AuditCommand)(audit)


def audit(
    context: typer.Context,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="a run folder, `run` in results.json, or exported")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(metavar="DIR", help="the data it was trained on; default: where the run found it")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            "--held_out", metavar="DIR", help="other customers of the shop; default: those that --plant left out"
        ),
    ] = None,
    canaries: Annotated[
        Path | None, typer.Option(metavar="FILE", help="canaries.json; default: that of the data")
    ] = None,
    users: Annotated[int | None, typer.Option(min=2, help="customers of each group, at most (200)")] = None,
    texts: Annotated[int | None, typer.Option(min=2, help="queries and titles of each group, at most (200)")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="sampled responses to each canary's query (32)")] = None,
    output: Annotated[Path | None, folder_option("--output", f"folder to write ({OUTPUT})")] = None,
    plant: Annotated[
        Path | None, typer.Option(metavar="DIR", help="instead of --run: copy this dataset, with canaries in the copy")
    ] = None,
    out: Annotated[Path | None, folder_option("--out", "with --plant: folder of the copy")] = None,
    counts: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="with --plant: customers of a canary (1,2,5,10)")
    ] = None,
    canaries_per_count: Annotated[
        int | None, typer.Option("--canaries_per_count", min=1, help="with --plant: canaries of each count (8)")
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(min=1, help="with --plant: products and queries that nobody takes (128)")
    ] = None,
    left_out: Annotated[
        int | None, typer.Option("--left_out", min=0, help="with --plant: customers to take out of the copy (200)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of all draws")] = 1,
    config_files: FieldFiles = None,
) -> None:
    """What a run tells of its customers: canaries, extraction, membership, files (docs/privacy.md)."""
    given = {name for name, value in context.params.items() if value is not None}
    if (run is None) is (plant is None):
        raise UserError("audit: give --run DIR, or --plant DIR and --out DIR, and not both")
    foreign = [name for name in (AUDITS if plant is not None else PLANTS) if name in given]
    if foreign:
        raise UserError(
            f"--{foreign[0]}: does nothing with {'--plant' if plant is not None else '--run'}; leave it out"
        )
    command = shlex.join([*context.command_path.split(), *context.meta[WORDS]])
    if plant is not None:
        if out is None:
            raise UserError("--plant: needs --out, the folder of the copy")
        sizes = {"canaries": canaries_per_count, "candidates": candidates, "left_out": left_out}
        _plant(
            plant,
            out,
            counts,
            {name: value for name, value in sizes.items() if value is not None},
            seed,
            command,
            config_files,
        )
        return
    assert run is not None
    if config_files:
        raise UserError("--config_files: does nothing with --run; the run knows the names of its columns")
    amounts = {"users": users, "texts": texts, "samples": samples}
    _audit(
        run,
        (dataset, held_out, canaries),
        {name: value for name, value in amounts.items() if value is not None},
        seed,
        output or OUTPUT,
        command,
    )


def _plant(
    source: Path,
    out: Path,
    counts: str | None,
    sizes: dict[str, Any],
    seed: int,
    command: str,
    config_files: list[str] | None,
) -> None:
    from recbole_llmfashion.data.atomic.folder import check_clean, read_folder
    from recbole_llmfashion.dataset_tools.plant.planting import PlantSettings, plant
    from recbole_llmfashion.dataset_tools.plant.write import refuse_existing, write
    from recbole_llmfashion.files.changes import own_folder

    settings = replace(PlantSettings(seed=seed), **sizes)
    if counts is not None:
        settings = replace(settings, counts=_numbers(counts))
    refuse_existing(out)
    folder = read_folder(source, show_progress=True, names=field_names(source, config_files, {}))
    check_clean(folder)
    copy, fresh, planted = plant(folder, out, settings)
    if planted.held_out:
        refuse_existing(fresh.path)
    with own_folder(out, "--out"):
        write(copy, fresh, planted, folder, command)
    customers = sum(one.count for one in planted.canaries)
    kinds = sum(one.count > 0 for one in planted.canaries)
    typer.echo(f"{out}: {kinds} canaries of {customers} customers, {len(planted.candidates)} candidates in no row")
    if planted.held_out:
        typer.echo(f"{fresh.path}: {len(set(fresh.interactions['user_id']))} customers who are not in {out}")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise UserError(f"--counts: expected numbers separated by commas, such as 1,2,5,10, found '{text}'") from None


def _audit(
    run: Path,
    places: tuple[Path | None, Path | None, Path | None],
    amounts: dict[str, Any],
    seed: int,
    output: Path,
    command: str,
) -> None:
    from recbole_llmfashion.files.changes import own_folder
    from recbole_llmfashion.pipeline.manifest import read_manifest
    from recbole_llmfashion.study.audit.material import find_material

    manifest = read_manifest(run)
    material = find_material(manifest, *places)
    check_extra("study", "matplotlib")
    announce_loading()

    from recbole_llmfashion.study.audit.document import assemble
    from recbole_llmfashion.study.audit.run_audit import AuditSettings, audit
    from recbole_llmfashion.study.report.write import write

    settings = replace(AuditSettings(seed=seed), **amounts)
    with own_folder(output, "--output"):
        findings = audit(manifest, material, settings)
        write(output, assemble(manifest, findings, settings, command, material.simulated))
    typer.echo((output / "table.md").read_text(encoding="utf-8"))
    typer.echo(f"written: {output}/results.json, table.md, table.tex, report.html")
