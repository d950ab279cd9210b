"""The command `demo`: options in, a page until it is interrupted. Holds none of the work."""

from pathlib import Path
from typing import Annotated

import typer

from recbole_llmfashion.serving.demo import page
from recbole_llmfashion.serving.recommender import Recommender


def register(app: typer.Typer) -> None:
    """Adds the command to `app`."""
    app.command("demo")(_demo)


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
