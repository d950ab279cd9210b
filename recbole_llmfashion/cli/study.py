"""The commands `study` and their options: a name, a StudyRequest, a Runner, a Document, its files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import typer

from recbole_llmfashion.cli.terminal import log_level
from recbole_llmfashion.errors import UserError, did_you_mean
from recbole_llmfashion.study import (
    ablation,
    cold_start,
    compare,
    curriculum,
    low_resource,
    reproduce,
    time_split,
    zero_shot,
)
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.study.report.write import write
from recbole_llmfashion.study.request import MODELS, OWN, TEXT_MODELS, StudyRequest, parse
from recbole_llmfashion.study.runner import Entry, Runner


@dataclass(frozen=True)
class Study:
    """A study: what runs it, its own options with their defaults, its models where none are named."""

    run: Callable[[StudyRequest, Runner], Document]
    options: dict[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = MODELS


STUDIES = {
    "compare": Study(compare.compare),
    "ablation": Study(ablation.ablation, models=(OWN,)),
    "curriculum": Study(curriculum.curriculum, models=(OWN,)),
    "cold-start": Study(cold_start.cold_start, cold_start.OPTIONS),
    "zero-shot": Study(zero_shot.zero_shot, zero_shot.OPTIONS),
    "low-resource": Study(
        low_resource.low_resource, low_resource.OPTIONS, ("SASRec", "CORE", *TEXT_MODELS, "SeqKNN", "QueryMemory")
    ),
    "time-split": Study(time_split.time_split),
    "reproduce": Study(reproduce.reproduce, reproduce.OPTIONS),
}


def register(app: typer.Typer) -> None:
    """Adds `study` to the command line; its keys are those of properties/, so typer passes its words on unread."""
    app.command(
        "study",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        help=f"Rebuild a table or figure of the paper: {', '.join(STUDIES)}.",
    )(_study)


def _study(context: typer.Context, name: str) -> None:
    study(name, context.args)


def study(name: str, argv: Sequence[str]) -> None:
    """Runs a study and writes its folder.

    Raises:
        UserError: an unknown study, or what the request or a row finds wrong before anything runs.
    """
    if name not in STUDIES:
        raise UserError(f"study: unknown study '{name}'; {did_you_mean(name, STUDIES)}")
    chosen = STUDIES[name]
    request = parse(name, argv, chosen.options, chosen.models)
    runner = Runner(request)
    log_level(str(runner.config(Entry("", "Popularity"))["state"]))
    document = chosen.run(request, runner)
    write(request.output, document)
    ranks = assemble.all_ranks(runner.ran)
    if len(ranks):
        ranks.to_parquet(request.output / "ranks.parquet", index=False)
    typer.echo((request.output / "table.md").read_text(encoding="utf-8"))
    typer.echo(f"written: {request.output}/results.json, table.md, table.tex, report.html")
