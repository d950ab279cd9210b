"""The `pretrain` command: Recformer's pre-training by itself, on one dataset's training users.

It is the very stage that a run on that dataset has, so such a run finds it done. Ranks nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from recbole_llmfashion.cli.train import find_dataset, log_level, parse
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.model import Recformer
from recbole_llmfashion.model.recformer.stages import RecformerPipeline
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.recbole_models import make_loaders, stage_root
from recbole_llmfashion.trainer.recformer import RecformerTrainer

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
    for name in arguments.models:
        model = get_model(name).model
        if not issubclass(model, Recformer):
            raise UserError(f"--model: {name} has no pre-training of its own; {USAGE}")
        folder = pretrain_corpus(model, arguments.dataset, arguments.config_files, arguments.overrides)
        typer.echo(f"written: {folder}; use it anywhere with --recformer_name_or_path={folder}")


def pretrain_corpus(
    model: type[Recformer], dataset: str, config_files: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> Path:
    """Pre-trains Recformer on a dataset's training users, or finds it pre-trained.

    Args:
        model: Recformer or RecformerQuery.
        dataset: a folder below data_path.
        config_files, overrides: as load_config has them.

    Returns:
        the stage's folder, which `recformer_name_or_path` takes on any other dataset.

    Raises:
        UserError: what the user can mend, recformer_pretrain_epochs: 0 included.
    """
    config = load_config(model, dataset, config_files, overrides)
    find_dataset(config)
    log_level(str(config["state"]))
    RecformerTrainer.check(config)
    if not config["recformer_pretrain_epochs"]:
        raise UserError("recformer_pretrain_epochs: 0 is no pre-training; set 1 or more")
    loaders = make_loaders(config)
    reader = model(config, loaders.train._dataset)
    pipeline = RecformerPipeline(config, loaders, StageStore(stage_root(config)), reader)
    pipeline.prepare()
    return pipeline.pretrain()
