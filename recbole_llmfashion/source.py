"""The other dataset of a zero-shot run: the config by which it is learned, the one of its own run (docs/method.md).

Knows no model and no stage; which keys the answering run sets besides, its caller says.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config
from recbole_llmfashion.errors import UserError


def source_config(config: LLMFashionConfig, keys: Mapping[str, Any] | None = None) -> LLMFashionConfig:
    """The config of the same model's run on `source_dataset`: same files, same command line, no source.

    The source's dataset file, and its tuned file where `tuned` is set, take the place of the target's, whose keys were
    chosen on rows that zero-shot does not have.

    Args:
        config: of the run on the target.
        keys: over the command line.

    Raises:
        UserError: the source is the target, or its folder is not there.
    """
    source = str(config["source_dataset"])
    if source == config["dataset"]:
        raise UserError(f"source_dataset: '{source}' is the dataset itself; leave it empty, or name another")
    overrides = config["command_line"] | {"source_dataset": None} | dict(keys or {})
    found = load_config(config.model_class, source, config["config_layers"], overrides, config["model_names"])
    folder = Path(found["data_path"])
    if not folder.is_dir():
        raise UserError(
            f"source_dataset: {folder} is not there; make it with recbole-llmfashion simulate or convert, "
            f"--out {folder}, or name a folder beside the dataset's"
        )
    return found


def no_core() -> Any:
    """Stands where CORE's table is handed over: zero-shot has none to ask for."""
    raise AssertionError("zero-shot asks for no table of CORE")
