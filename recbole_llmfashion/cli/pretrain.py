"""The `pretrain` command: Recformer's pre-training by itself, on one dataset's training users.

It is the very stage that a run on that dataset has, so such a run finds it done. Ranks nothing.
"""

import typer

from recbole_llmfashion.cli.terminal import log_level
from recbole_llmfashion.config.command_line import parse
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.model import Recformer
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.trainer.recformer import pretrain_corpus

USAGE = (
    "usage: recbole-llmfashion pretrain --model=Recformer --dataset=footwear [--config_files='a.yaml b.yaml'] "
    "[--key=value ..]"
)


def register(app: typer.Typer) -> None:
    """Adds `pretrain` to the command line; its keys are those of properties/, so typer passes its words on unread."""
    app.command(
        "pretrain",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        help="Pre-train Recformer (item-item contrast, masked language model) and print the folder of its weights.",
    )(_pretrain)


def _pretrain(context: typer.Context) -> None:
    arguments = parse(context.args, (), USAGE, output="")
    log_level(str(arguments.overrides.get("state", "WARNING")))
    for name in arguments.models:
        model = get_model(name).model
        if not issubclass(model, Recformer):
            raise UserError(f"--model: {name} has no pre-training of its own; {USAGE}")
        folder = pretrain_corpus(model, arguments.dataset, arguments.config_files, arguments.overrides)
        typer.echo(f"written: {folder}; use it anywhere with --recformer_name_or_path={folder}")
