"""The commands `recommend`, `export` and `demo`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recbole_llmfashion.cli.options import folder_option
from recbole_llmfashion.cli.terminal import announce_loading, json_line
from recbole_llmfashion.errors import check_extra

_Run = Annotated[Path, typer.Option("--run", metavar="DIR", help="a run folder: `run` in results.json, or exported")]
_MinAskers = Annotated[
    int,
    typer.Option(
        "--min_askers", min=1, help="leave out queries and pairs of items of fewer users; 1 keeps all of them"
    ),
]
REPORTED = ("unknown_items", "empty_queries", "out_of_order", "shortened_texts", "empty_sessions")


def register(app: typer.Typer) -> None:
    """Adds the commands to `app`."""
    app.command("recommend")(_recommend)
    app.command("export")(_export)
    app.command("demo")(_demo)


def _recommend(
    run: _Run,
    actions: Annotated[Path, typer.Option(metavar="FILE", help="a session, one JSON action per line")],
    k: Annotated[int, typer.Option(min=1, help="number of items")] = 10,
    now: Annotated[
        float | None, typer.Option(help="time of the recommendation in seconds; default: the last action's")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="add prompt and raw response to each line")] = False,
) -> None:
    """Recommend items for the actions of one customer, one JSON line per item."""
    from recbole_llmfashion.pipeline.manifest import read_manifest
    from recbole_llmfashion.serving.session import make_session, read_actions

    session = read_actions(actions)
    make_session(session, {}, now)  # what is wrong with --now is said before the model is loaded
    read_manifest(run)
    announce_loading()

    from recbole_llmfashion.serving.recommender import Recommender

    recommender = Recommender.from_pretrained(run)
    for line in recommender.recommend(session, k, now=now, explain=explain):
        values = {name: value for name, value in asdict(line).items() if explain or name not in ("prompt", "response")}
        typer.echo(json_line(values))
    counts = recommender.counts
    notes = [f"{name.replace('_', ' ')}: {counts[name]}" for name in REPORTED if counts.get(name)]
    if notes:
        typer.echo(", ".join(notes), err=True)


def _export(
    run: _Run,
    out: Annotated[Path, folder_option("--out", "a folder that does not exist")],
    min_askers: _MinAskers = 5,
    push_to_hub: Annotated[
        str | None,
        typer.Option("--push_to_hub", metavar="OWNER/NAME", help="also upload it to a private repository"),
    ] = None,
) -> None:
    """Copy a run with all its parts into one folder, to be loaded on another machine without the dataset."""
    from recbole_llmfashion.pipeline.export import backbone_name, check_repository, export_run, upload_run
    from recbole_llmfashion.pipeline.manifest import read_manifest

    if push_to_hub is not None:
        check_repository(push_to_hub, "--push_to_hub")
    read_manifest(run)
    announce_loading()

    from recbole_llmfashion.pipeline.load import load_run

    load_run(run, model=False)  # a run with a wrong entry or file is not exported
    export_run(run, out, min_askers)
    content = read_manifest(out).content
    name, licence = backbone_name(content), content["backbone"]["licence"]
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in content["metrics"].items())
    typer.echo(f"{content['model']} on {content['dataset']}, seed {content['seed']}: {metrics}")
    typer.echo(f"backbone {name}; licence: {licence}")
    if "backbone" not in content["parts"]:
        typer.echo(f"not in the folder: the backbone; the machine that loads it downloads {name}")
    if "memory" in content:
        typer.echo(_memory_note(content["memory"]))
    typer.echo(f"written: {out}")
    if push_to_hub is not None:
        typer.echo(f"uploaded: {upload_run(out, push_to_hub)}")


def _memory_note(memory: Mapping[str, int]) -> str:
    """What the memory of an exported run holds."""
    if memory["min_askers"] == 1:
        return f"the memory has {memory['queries']} queries, also those that one user alone searched for (min_askers=1)"
    return (
        f"the memory has {memory['queries']} queries of at least {memory['min_askers']} users; "
        f"{memory['left_out']} of fewer were left out, so lists may differ from those of the evaluation"
    )


def _demo(
    run: _Run,
    host: Annotated[
        str, typer.Option(help="address to listen on; everyone who can reach it can use the page")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="port of the page")] = 7860,
    min_askers: _MinAskers = 2,
) -> None:
    """Show a run on a page: search and click as a customer, and see prompt, response and lists."""
    from recbole_llmfashion.pipeline.manifest import read_manifest

    read_manifest(run)
    check_extra("demo", "gradio")
    announce_loading()

    from recbole_llmfashion.serving.demo import address, page
    from recbole_llmfashion.serving.recommender import Recommender

    address.check_address(host, port)
    recommender = Recommender.from_pretrained(run, min_askers=min_askers)
    if recommender.memory_note:
        typer.echo(recommender.memory_note, err=True)
    blocks = page.build(page.Pages(recommender))

    def listening() -> None:
        typer.echo(f"http://{address.in_url(host)}:{port}/ shows {run}; stop it with Ctrl-C")

    page.serve(blocks, host, port, listening=listening)
