"""The commands `study <name>`: each has its own options, and writes the folder of its report.

Status 0: every row that was to run has a result; 1: a row failed, and the report gives the reason; 2: an error of the
user, one line.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from recbole_llmfashion.cli.options import (
    ConfigFiles,
    Dataset,
    DryRun,
    KeysCommand,
    Output,
    command_of,
    config_paths,
    folder_option,
    keys_of,
)
from recbole_llmfashion.cli.terminal import announce_loading, log_level
from recbole_llmfashion.config.allowed import shown
from recbole_llmfashion.config.command_line import split_names
from recbole_llmfashion.errors import UserError, check_extra
from recbole_llmfashion.study.request import FORMS, MODELS, OWN, TEXT_MODELS, StudyRequest

Seeds = Annotated[
    int, typer.Option("--seeds", min=1, help="number of seeds; the first is the key `seed`, the others follow it")
]
Shares = Annotated[str, typer.Option("--shares", metavar="PERCENTS", help="shares of the training users, in per cent")]
Models = Annotated[str, typer.Option("--models", metavar="NAMES", help="rows of the table, separated by commas")]
Beside = Annotated[
    str, typer.Option("--beside", metavar="NAMES", help="further rows, such as Fusion,LLMFashionRec-untrained; none")
]
RowsPath = Annotated[
    Path | None,
    folder_option("--rows_path", "folder of rows: those that are there are read, others written"),
]
DEFAULTS = {"use_tuned": True}  # of the keys, where they are not those of properties/
ALL_MODELS = ",".join(MODELS)
LOW_RESOURCE = ",".join(("SASRec", "CORE", *TEXT_MODELS, "SeqKNN", "QueryMemory"))


class StudyCommand(KeysCommand):
    """A command of `study`, whose help has the defaults of studies."""

    defaults = DEFAULTS


def register(app: typer.Typer) -> None:
    """Adds the group `study` to the command line."""
    group = typer.Typer(help="Rebuild a table or figure of the paper.", no_args_is_help=True, rich_markup_mode=None)
    studies: tuple[Callable[..., None], ...] = (
        compare, ablation, curriculum, cold_start, zero_shot, low_resource, time_split, reproduce, cost,
    )  # fmt: skip
    for command in studies:
        group.command(command.__name__.replace("_", "-"), cls=StudyCommand)(command)
    app.add_typer(group, name="study")


def compare(
    context: typer.Context,
    dataset: Dataset,
    models: Models = ALL_MODELS,
    seeds: Seeds = 3,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
    rows_path: RowsPath = None,
) -> None:
    """Table 2: every model on the same rows, with seeds and significance."""
    _run(context, dry_run, rows_path, dataset, models, seeds, output, config_files)


def ablation(
    context: typer.Context,
    dataset: Dataset,
    form: Annotated[
        str, typer.Option("--form", metavar="paper|shipped", help="the paper's form (Table 3), or the default")
    ] = "paper",
    beside: Beside = "none",
    seeds: Seeds = 3,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
    rows_path: RowsPath = None,
) -> None:
    """Table 3: LLMFashionRec without each of its parts, in the paper's form or in the one that ships."""
    if form not in FORMS:
        raise UserError(f"--form: expected one of {', '.join(FORMS)}, found '{form}'")
    folder = output or Path(f"results/{dataset}-ablation-{form}")
    _run(context, dry_run, rows_path, dataset, OWN, seeds, folder, config_files, {"form": form, "beside": beside})


def curriculum(
    context: typer.Context,
    dataset: Dataset,
    beside: Beside = "none",
    seeds: Seeds = 3,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
    rows_path: RowsPath = None,
) -> None:
    """Section 4.3: what the extra passes over the hardest prompts add."""
    _run(context, dry_run, rows_path, dataset, OWN, seeds, output, config_files, {"beside": beside})


def cold_start(
    context: typer.Context,
    dataset: Dataset,
    models: Models = ALL_MODELS,
    plus_cold: Annotated[
        str, typer.Option("--plus_cold", metavar="True|False", help="also train ID models with a shared cold token")
    ] = "True",
    seeds: Seeds = 3,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
    rows_path: RowsPath = None,
) -> None:
    """Figure 4: test rows whose target is not in the training part."""
    _run(context, dry_run, rows_path, dataset, models, seeds, output, config_files, {"plus_cold": plus_cold})


def zero_shot(
    context: typer.Context,
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="the dataset that trains the models")],
    targets: Annotated[str, typer.Option("--targets", metavar="NAMES", help="the datasets that are only evaluated")],
    models: Models = ALL_MODELS,
    seeds: Seeds = 3,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
    rows_path: RowsPath = None,
) -> None:
    """Figure 5: models of one dataset, evaluated on others."""
    _run(
        context, dry_run, rows_path, source, models, seeds, output, config_files, {"source": source, "targets": targets}
    )


def low_resource(
    context: typer.Context,
    dataset: Dataset,
    models: Models = LOW_RESOURCE,
    shares: Shares = "1,5,10,25,50,100",
    seeds: Seeds = 3,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
    rows_path: RowsPath = None,
) -> None:
    """Figure 6: models trained on a share of the users."""
    _run(context, dry_run, rows_path, dataset, models, seeds, output, config_files, {"shares": shares})


def time_split(
    context: typer.Context,
    dataset: Dataset,
    models: Models = ALL_MODELS,
    seeds: Seeds = 3,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
) -> None:
    """Leave-one-out beside a split of the log by time."""
    _run(context, dry_run, None, dataset, models, seeds, output, config_files)


def reproduce(
    context: typer.Context,
    dataset: Dataset,
    models: Models = ALL_MODELS,
    shares: Shares = "10,100",
    targets: Annotated[
        str, typer.Option("--targets", metavar="NAMES", help="datasets for the zero-shot claim; none: leave it out")
    ] = "none",
    seeds: Seeds = 3,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
    rows_path: RowsPath = None,
) -> None:
    """The paper's claims as a checklist."""
    options = {"shares": shares, "targets": targets}
    _run(context, dry_run, rows_path, dataset, models, seeds, output, config_files, options)


def cost(
    context: typer.Context,
    dataset: Dataset,
    groups: Annotated[
        str, typer.Option("--groups", metavar="NAMES", help="what changes: history, text, memory, beams, ..; or all")
    ] = "all",
    lengths: Annotated[
        str, typer.Option("--lengths", metavar="TOKENS", help="values of max_length for the group history")
    ] = "136,160,512",
    backbones: Annotated[
        str, typer.Option("--backbones", metavar="NAMES", help="values of llm_name_or_path for the group backbone")
    ] = "tiny-falcon-untrained",
    users: Annotated[int, typer.Option("--users", min=1, help="validation users whose answers are measured")] = 256,
    seeds: Seeds = 1,
    output: Output = None,
    config_files: ConfigFiles = None,
    dry_run: DryRun = False,
) -> None:
    """Accuracy against tokens, time, memory and energy."""
    from recbole_llmfashion.study.cost.points import settings

    settings(groups, lengths, backbones)  # what is wrong with them is said before RecBole is imported
    options = {"groups": groups, "lengths": lengths, "backbones": backbones, "users": str(users)}
    _run(context, dry_run, None, dataset, OWN, seeds, output, config_files, options)


def _run(
    context: typer.Context,
    dry_run: bool,
    rows_path: Path | None,
    dataset: str,
    models: str,
    seeds: int,
    output: Path | None,
    config_files: list[str] | None,
    options: Mapping[str, str] | None = None,
) -> None:
    name = str(context.command.name)
    keys = keys_of(context)
    _refuse_models(name, keys, any("--models" in parameter.opts for parameter in context.command.params))
    request = StudyRequest(
        study=name,
        dataset=dataset,
        models=tuple(split_names(models)),
        seeds=seeds,
        output=output or Path(f"results/{dataset}-{name}"),
        config_files=tuple(config_paths(config_files)),
        options=options or {},
        overrides=DEFAULTS | keys,
        command=command_of(context),
        rows_path=rows_path,
    )
    raise typer.Exit(study(request, dry_run))


def _refuse_models(study: str, keys: Mapping[str, Any], has_models: bool) -> None:
    """Raises UserError if the words of a study choose its models by an option that it lacks.

    Args:
        study: its name.
        keys: of the words that are no option of it.
        has_models: whether it has the option --models.
    """
    for key in ("model", "models"):
        if key in keys and has_models:
            raise UserError(f"--{key}: expected --models, found {shown(keys[key])}; study {study} takes --models=NAMES")
        if key in keys:
            raise UserError(
                f"--{key}: expected no such option, found {shown(keys[key])}; study {study} runs {OWN} alone, "
                "leave it out"
            )


def check(request: StudyRequest) -> None:
    """Finds what can be known to be wrong without a model, before RecBole is imported.

    Raises:
        UserError: an unknown model, key or dataset, a missing file, or matplotlib is not installed.
    """
    from recbole_llmfashion.config.evaluation_keys import check_table_metrics, check_valid_metric
    from recbole_llmfashion.config.layers import merge_layers
    from recbole_llmfashion.config.values import check_values
    from recbole_llmfashion.data.location import check_places, find_dataset
    from recbole_llmfashion.files.changes import check_writable
    from recbole_llmfashion.quick_start.registry import MODEL_TABLE, accepted_models, get_model

    lineages = {model: get_model(model, "--models").lineage for model in request.registered}
    accepted = accepted_models(*request.registered, *MODEL_TABLE)
    for model, lineage in lineages.items():
        keys = merge_layers(lineage, request.dataset, request.config_files, request.overrides, accepted)
        check_values({"seed": keys["seed"] + request.seeds - 1}, {}, model, "command line")
        log_level(str(keys["state"]))
        check_valid_metric(keys)
        _check_split(request.study, keys["eval_args"])
        check_places(keys, request.dataset, "--source" if "source" in request.options else "--dataset")
        for target in request.targets:
            find_dataset(Path(keys["data_path"]) / target, target, "--targets")
        if request.study != "cost":  # it measures validation rows
            check_table_metrics(keys)
    check_writable(request.output, "--output")
    if request.rows_path:
        check_writable(request.rows_path, "--rows_path")
    check_extra("study", "matplotlib")


def _check_split(study: str, eval_args: Mapping[str, Any]) -> None:
    """Raises UserError if the split leaves a study none of the rows that it reads."""
    from recbole_llmfashion.config.evaluation_keys import TEST_ONLY, VALID_ONLY, leave_out

    without, rows = (TEST_ONLY, "validation") if study == "cost" else (VALID_ONLY, "test")
    if leave_out(eval_args) == without:
        raise UserError(f"eval_args: study {study} reads {rows} rows; write split: {{LS: valid_and_test}}")


def study(request: StudyRequest, dry_run: bool = False) -> int:
    """Runs a study, writes its folder and returns the exit status.

    Args:
        dry_run: check everything, print the settings and the counts of each row, and train nothing.

    Raises:
        UserError: what `check` or a row finds wrong before anything runs.
    """
    check(request)
    announce_loading()

    from recbole_llmfashion.files.changes import own_folder
    from recbole_llmfashion.study.pages.status import FAILED_ROWS
    from recbole_llmfashion.study.report import assemble
    from recbole_llmfashion.study.report.beyond import add_beyond
    from recbole_llmfashion.study.report.pictures import item_pictures
    from recbole_llmfashion.study.report.write import write
    from recbole_llmfashion.study.runner import Runner

    name = request.study.replace("-", "_")
    run = getattr(import_module(f"recbole_llmfashion.study.{name}"), name)
    if dry_run:
        from recbole_llmfashion.study.dry_run import dry_run as described

        typer.echo(f"{described(request, run)}dry run: every check passed, nothing was trained")
        return 0
    runner = Runner(request)
    with own_folder(request.output, "--output"):
        document = run(request, runner)
        add_beyond(document, request, runner)
        document.pictures = item_pictures(
            runner.folder(request.dataset), request.dataset, runner.files(request.dataset)
        )
        ranks = assemble.all_ranks(runner.ran)
        write(request.output, document, {"ranks.parquet": ranks.to_parquet(index=False)} if len(ranks) else {})
    typer.echo((request.output / "table.md").read_text(encoding="utf-8"))
    typer.echo(f"written: {request.output}/results.json, table.md, table.tex, report.html")
    return FAILED_ROWS if runner.failed else 0
