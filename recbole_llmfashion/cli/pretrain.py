"""The commands `pretrain` (Recformer on one dataset) and `pretrain-backbone` (the LLM that ships)."""

from pathlib import Path
from typing import Annotated

import typer

from recbole_llmfashion.cli.options import ConfigFiles, Dataset, KeysCommand, Models, config_paths, keys_of
from recbole_llmfashion.cli.terminal import announce_loading, log_level
from recbole_llmfashion.config.command_line import split_names
from recbole_llmfashion.errors import UserError


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command("pretrain", cls=KeysCommand)(pretrain)
    app.command("pretrain-backbone")(pretrain_backbone)


def pretrain(context: typer.Context, model: Models, dataset: Dataset, config_files: ConfigFiles = None) -> None:
    """Pre-train Recformer (item-item contrast, masked language model) and print the folder of its weights.

    The result is a stage of the dataset: a run of Recformer on the same dataset reuses it.
    """
    from recbole_llmfashion.config.layers import merge_layers
    from recbole_llmfashion.data.location import check_places
    from recbole_llmfashion.quick_start.registry import get_model

    overrides, files = keys_of(context), config_paths(config_files)
    specs = [get_model(name) for name in split_names(model)]
    for spec in specs:
        if "Recformer" not in spec.lineage:
            raise UserError(f"--model: {spec.name} has no pre-training of its own; use Recformer or RecformerQuery")
        keys = merge_layers(spec.lineage, dataset, files, overrides)
        log_level(str(keys["state"]))
        check_places(keys, dataset)
    announce_loading()

    from recbole_llmfashion.trainer.recformer import pretrain_corpus

    for spec in specs:
        folder = pretrain_corpus(spec.model, dataset, files, overrides)
        typer.echo(f"written: {folder}; use it with --recformer_name_or_path={folder}")


def pretrain_backbone(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="keys as in properties/pretrain.yaml")],
) -> None:
    """Pre-train a backbone on simulated shops (the one that ships) and on training rows of real datasets."""
    from recbole_llmfashion.llm.pretraining.settings import PretrainConfig

    settings = PretrainConfig.read(config)
    announce_loading()

    from recbole_llmfashion.llm.pretraining.pretrain import build

    typer.echo(f"written: {build(settings)}")
