"""`recbole-llmfashion`: all commands. A command imports what it needs when it is called.

`app` is made at its first use, so that `main` handles signals before typer and the commands are imported.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from recbole_llmfashion.cli.terminal import guarded, run_process

if TYPE_CHECKING:
    import typer


@cache
def _make_app() -> "typer.Typer":
    import typer

    from recbole_llmfashion.cli import analyze, convert, datasets, generate, pretrain, serving, study, train, tune
    from recbole_llmfashion.cli.reports import register_audit

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
    register_audit(app)
    return app


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return _make_app()


def run(words: Sequence[str]) -> int:
    """Runs a command line; returns its exit status. An error of the user is one line on stderr and status 2."""

    def work() -> int:
        from recbole_llmfashion.cli.options import run_app

        return run_app(_make_app(), words, "recbole-llmfashion")

    return guarded(work)


def main() -> None:
    """Entry point."""
    # Read once, when torch loads OpenMP: threads that wait by spinning slow a second process on the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    run_process(lambda: run(sys.argv[1:]))
