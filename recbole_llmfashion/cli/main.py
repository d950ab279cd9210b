"""`recbole-llmfashion`: the tools around the main job.

Each command lives with what it does; this file only gathers them.
"""

import sys

import typer

from recbole_llmfashion.cli import analyze as analysis
from recbole_llmfashion.cli import datasets, pretrain, serving, study
from recbole_llmfashion.cli import generate as generation
from recbole_llmfashion.cli.terminal import guarded

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tools around run_recbole_llm.py: datasets, Recformer's pre-training, the studies of the paper, serving.",
)
datasets.register(app)
study.register(app)
analysis.register(app)
pretrain.register(app)
serving.register(app)
generation.register(app)


def main() -> None:
    """Entry point: a UserError is one line on stderr and exit status 2."""

    def work() -> int:
        try:
            app()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    sys.exit(guarded(work))
