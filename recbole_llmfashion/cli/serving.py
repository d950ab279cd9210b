"""The commands `recommend`, `export` and `demo`: options in, lines out. Holds none of the work."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recbole_llmfashion.pipeline.manifest import export_run, read_manifest
from recbole_llmfashion.serving.demo import page
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.serving.session import read_actions

_Run = Annotated[Path, typer.Option("--run", metavar="DIR", help="a run folder, `run` in results.json, or an exported")]
REPORTED = ("unknown_items", "empty_queries", "out_of_order", "empty_sessions")


def register(app: typer.Typer) -> None:
    """Adds the commands to `app`."""
    app.command("recommend")(_recommend)
    app.command("export")(_export)
    app.command("demo")(_demo)


def _recommend(
    run: _Run,
    actions: Annotated[Path, typer.Option(metavar="FILE", help="a session, one JSON action a line")],
    k: Annotated[int, typer.Option(help="items")] = 10,
    now: Annotated[float | None, typer.Option(help="seconds; the last action's time where not given")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="prompt and raw response in each line")] = False,
) -> None:
    """Recommend items for what one customer did: a JSON line an item."""
    session = read_actions(actions)
    recommender = Recommender.load(run)
    for line in recommender.recommend(session, k, now=now, explain=explain):
        told = {name: value for name, value in asdict(line).items() if explain or name not in ("prompt", "response")}
        typer.echo(json.dumps(told, ensure_ascii=False))
    counts = recommender.counts
    notes = [f"{name.replace('_', ' ')}: {counts[name]}" for name in REPORTED if counts.get(name)]
    if notes:
        typer.echo(", ".join(notes), err=True)


def _export(
    run: _Run,
    out: Annotated[Path, typer.Option(metavar="DIR", help="a folder that is not there yet")],
) -> None:
    """Copy a run with all its parts into one folder, to be loaded on another machine without the dataset."""
    export_run(run, out)
    content = read_manifest(out).content
    backbone = content["backbone"]
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in content["metrics"].items())
    typer.echo(f"{content['model']} on {content['dataset']}, seed {content['seed']}: {metrics}")
    typer.echo(f"backbone {backbone['name']}; licence: {backbone['licence']}")
    if "backbone" not in content["parts"]:
        typer.echo(f"not in the folder: the backbone; the machine that loads it asks the hub for {backbone['name']}")
    typer.echo(f"written: {out}")


def _demo(
    run: Annotated[
        Path, typer.Option("--run", metavar="DIR", help="a run folder, `run` in results.json, or an exported")
    ],
    host: Annotated[
        str, typer.Option(help="address to listen at; everybody who reaches it can use the page")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
) -> None:
    """Show a run on a page: search and click as a customer, see prompt, answer and lists."""
    page.gradio()  # where it is missing, that is said before a run is loaded
    blocks = page.build(page.Pages(Recommender.load(run)))
    typer.echo(f"http://{host}:{port}/ shows {run}; Ctrl-C ends it")
    page.serve(blocks, host, port)
