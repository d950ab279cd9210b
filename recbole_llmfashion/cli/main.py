"""`recbole-llmfashion`: all commands. A command imports what it needs when it is called."""

import os
import sys
from collections.abc import Sequence

import typer

from recbole_llmfashion.cli import analyze, convert, datasets, generate, pretrain, serving, study, train, tune
from recbole_llmfashion.cli.options import run_app
from recbole_llmfashion.cli.terminal import guarded

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="LLM recommendation for fashion: train and compare models, search their keys, rebuild the paper's tables, "
    "recommend, and make datasets.",
)
for module in (train, tune, study, datasets, convert, analyze, pretrain, serving, generate):
    module.register(app)


def run(words: Sequence[str]) -> int:
    """Runs a command line; returns its exit status. An error of the user is one line on stderr and status 2."""
    return guarded(lambda: run_app(app, words, "recbole-llmfashion"))


def main() -> None:
    """Entry point."""
    # Read once, when torch loads OpenMP: threads that wait by spinning slow a second process on the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))
