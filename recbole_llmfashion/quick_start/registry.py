"""Which classes make a model: ours by this table, RecBole's sequential models by RecBole's names."""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Any

import recbole.model.sequential_recommender as recbole_sequential

from recbole_llmfashion.errors import UserError, did_you_mean
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.popularity import Popularity
from recbole_llmfashion.model.query_memory import QueryMemory
from recbole_llmfashion.model.recformer.model import Recformer, RecformerQuery
from recbole_llmfashion.model.seq_knn import SeqKNN
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
from recbole_llmfashion.trainer.query_memory import QueryMemoryTrainer
from recbole_llmfashion.trainer.recformer import RecformerTrainer
from recbole_llmfashion.trainer.staged import StagedTrainer


@dataclass(frozen=True)
class ModelSpec:
    """The classes behind a name; `dataloader` None means RecBole's own, `trainer` None RecBole's own training."""

    model: type
    dataloader: type | None
    trainer: type[StagedTrainer] | None


MODEL_TABLE = {
    "LLMFashionRec": ModelSpec(LLMFashionRec, LLMFashionRecDataLoader, LLMFashionRecTrainer),
    "Popularity": ModelSpec(Popularity, None, StagedTrainer),
    "SeqKNN": ModelSpec(SeqKNN, None, StagedTrainer),
    "QueryMemory": ModelSpec(QueryMemory, None, QueryMemoryTrainer),
    "Recformer": ModelSpec(Recformer, None, RecformerTrainer),
    "RecformerQuery": ModelSpec(RecformerQuery, None, RecformerTrainer),
}


@cache
def _recbole_models() -> dict[str, str]:
    """Class name -> module of RecBole's sequential models, without importing them."""
    classes = [name for name in vars(recbole_sequential) if isinstance(getattr(recbole_sequential, name), type)]
    modules = {module.name for module in pkgutil.iter_modules(recbole_sequential.__path__)}
    return {name: f"{recbole_sequential.__name__}.{name.lower()}" for name in classes if name.lower() in modules}


def model_names() -> list[str]:
    """Every name that `--model` takes."""
    return sorted({*MODEL_TABLE, *_recbole_models()})


def get_model(name: str) -> ModelSpec:
    """The classes of a model; an unknown name is a UserError with the nearest known one."""
    if name in MODEL_TABLE:
        return MODEL_TABLE[name]
    if name in _recbole_models():
        model: Any = getattr(importlib.import_module(_recbole_models()[name]), name)
        return ModelSpec(model, None, None)
    raise UserError(f"--model: unknown model '{name}'; {did_you_mean(name, model_names())}")
