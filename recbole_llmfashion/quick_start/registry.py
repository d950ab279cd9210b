"""The models by name. A table of dotted paths: a class is imported when it is needed, RecBole with it.

Ours are in MODEL_TABLE. The sequential models of RecBole are registered under RecBole's own names, but for those of
UNSUPPORTED, which need data or a training that this package does not have.
"""

import ast
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from recbole_llmfashion.config.command_line import split_paths
from recbole_llmfashion.config.keys import recbole_folder
from recbole_llmfashion.config.values import SESSION_MODELS
from recbole_llmfashion.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from recbole_llmfashion.config.configurator import LLMFashionConfig


@dataclass(frozen=True)
class ModelSpec:
    """The classes behind a name, as `package.module:Class`.

    Args:
        name: what --model takes.
        model_path: the RecBole model class.
        dataloader_path: the model's own dataloader; None for RecBole's.
        trainer_path: the model's trainer, a StagedTrainer.
        bases: models of this table that the class extends, whose properties/model/<name>.yaml hold for it too.
        needs_keys_of: models whose keys change this model's result, for it trains them or takes a part of them.
    """

    name: str
    model_path: str
    dataloader_path: str | None = None
    trainer_path: str = "recbole_llmfashion.trainer.recbole_models:RecBoleTrainer"
    bases: tuple[str, ...] = ()
    needs_keys_of: tuple[str, ...] = ()

    @property
    def model(self) -> Any:
        """The model class; importing it imports RecBole and torch."""
        return _resolve(self.model_path)

    @property
    def dataloader(self) -> Any:
        """The dataloader class, or None."""
        return None if self.dataloader_path is None else _resolve(self.dataloader_path)

    @property
    def trainer(self) -> Any:
        """The trainer class."""
        return _resolve(self.trainer_path)

    @property
    def lineage(self) -> tuple[str, ...]:
        """Names whose files properties/model/<name>.yaml hold for the model, its own last."""
        return (*self.bases, self.name)


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


_MODEL, _TRAINER = "recbole_llmfashion.model", "recbole_llmfashion.trainer"
MODEL_TABLE = {
    spec.name: spec
    for spec in (
        ModelSpec(
            "LLMFashionRec",
            f"{_MODEL}.llmfashionrec:LLMFashionRec",
            "recbole_llmfashion.prompt.dataloader:LLMFashionRecDataLoader",
            f"{_TRAINER}.llmfashionrec:LLMFashionRecTrainer",
            needs_keys_of=(*SESSION_MODELS, "SeqKNN"),
        ),
        ModelSpec(
            "Fusion",
            f"{_MODEL}.fusion:Fusion",
            "recbole_llmfashion.prompt.dataloader:LLMFashionRecDataLoader",
            f"{_TRAINER}.fusion:FusionTrainer",
            bases=("LLMFashionRec",),
            needs_keys_of=(*SESSION_MODELS, "SeqKNN"),
        ),
        ModelSpec("Popularity", f"{_MODEL}.popularity:Popularity", None, f"{_TRAINER}.staged:StagedTrainer"),
        ModelSpec("SASRecSampled", f"{_MODEL}.sasrec_sampled:SASRecSampled"),
        ModelSpec(
            "TextSASRec",
            f"{_MODEL}.text_sasrec:TextSASRec",
            None,
            f"{_TRAINER}.text_models:TextSASRecTrainer",
            needs_keys_of=("LLMFashionRec",),
        ),
        ModelSpec(
            "TextKNN",
            f"{_MODEL}.text_knn:TextKNN",
            None,
            f"{_TRAINER}.text_models:TextKNNTrainer",
            needs_keys_of=("LLMFashionRec",),
        ),
        ModelSpec("SeqKNN", f"{_MODEL}.seq_knn:SeqKNN", None, f"{_TRAINER}.staged:StagedTrainer"),
        ModelSpec(
            "QueryMemory",
            f"{_MODEL}.query_memory:QueryMemory",
            None,
            f"{_TRAINER}.query_memory:QueryMemoryTrainer",
            needs_keys_of=("CORE", "LLMFashionRec"),
        ),
        ModelSpec("Recformer", f"{_MODEL}.recformer.model:Recformer", None, f"{_TRAINER}.recformer:RecformerTrainer"),
        ModelSpec(
            "RecformerQuery",
            f"{_MODEL}.recformer.model:RecformerQuery",
            None,
            f"{_TRAINER}.recformer:RecformerTrainer",
            bases=("Recformer",),
        ),
    )
}


_LABELS = "it learns from labels (clicked or not), and the rows here have none"
_GRAPH = "it needs a knowledge graph (.kg and .link files), and the datasets here have none"
# Sequential models of RecBole that cannot run, and why.
UNSUPPORTED = {
    "DIEN": _LABELS,
    "DIN": _LABELS,
    "GRU4RecKG": _GRAPH,
    "KSR": _GRAPH,
    "S3Rec": "it needs a pre-training run of its own, with a file to hand over",
}


_OTHER_KINDS = ("general", "context_aware", "knowledge_aware", "exlib")


@cache
def _recbole_models(kind: str = "sequential") -> dict[str, str]:
    """Class name -> module of RecBole's models of one kind, read from RecBole's file without importing it."""
    file = recbole_folder() / f"model/{kind}_recommender/__init__.py"
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def model_names() -> list[str]:
    """Every name that `--model` takes."""
    return sorted({*MODEL_TABLE, *_recbole_models()} - UNSUPPORTED.keys())


def get_model(name: str, option: str = "--model") -> ModelSpec:
    """The entry of a model; imports no model.

    Args:
        name: of the model.
        option: that names it, for messages.

    Raises:
        UserError: an unknown name, whose message has the nearest known one, or a model of UNSUPPORTED.

    >>> get_model("RecformerQuery").lineage
    ('Recformer', 'RecformerQuery')
    >>> get_model("SASRec").model_path
    'recbole.model.sequential_recommender.sasrec:SASRec'
    """
    if name in MODEL_TABLE:
        return MODEL_TABLE[name]
    if name in UNSUPPORTED:
        raise UserError(f"{option}: {name} of RecBole cannot run: {UNSUPPORTED[name]}; choose another model")
    if name in _recbole_models():
        return ModelSpec(name, f"{_recbole_models()[name]}:{name}")
    for kind in _OTHER_KINDS:
        if name in _recbole_models(kind):
            raise UserError(
                f"{option}: {name} is one of RecBole's {kind} models, and rows here are sequences; choose a sequential "
                "model, such as CORE, SASRec or Popularity"
            )
    raise UserError(f"{option}: unknown model '{name}'; {did_you_mean(name, model_names())}")


def load_config(
    model: str | type, dataset: str, config_files: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> "LLMFashionConfig":
    """The config of one model on one dataset, as the command line builds it; what `run_experiment` takes.

    Args:
        model: a name that `--model` takes, or a class.
        dataset: name of the folder below data_path.
        config_files: YAML files over those of properties/, or one text as for `--config_files`; later ones win.
        overrides: keys over those.

    Raises:
        UserError: an unknown model or key, an unreadable file, a value that RecBole rejects.
    """
    from recbole_llmfashion.config import configurator

    config_files = split_paths(config_files) if isinstance(config_files, str) else config_files
    names = accepted_models(model) if isinstance(model, str) else []
    model_class = get_model(model).model if isinstance(model, str) else model
    return configurator.load_config(model_class, dataset, config_files, overrides, names, "overrides")


def accepted_models(*names: str) -> list[str]:
    """The models whose keys may be given in a run of the named ones: their lineages and what their results depend on.

    >>> accepted_models("LLMFashionRec", "RecformerQuery")
    ['CORE', 'LLMFashionRec', 'Recformer', 'RecformerQuery', 'SASRec', 'SASRecSampled', 'SeqKNN']
    """
    specs = [get_model(name) for name in names]
    return sorted({model for spec in specs for model in (*spec.lineage, *spec.needs_keys_of)})
