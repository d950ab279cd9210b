"""`run_experiment`: one model on one dataset; and the registry of models."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.quick_start.experiment import run_experiment, run_row
    from recbole_llmfashion.quick_start.registry import MODEL_TABLE, ModelSpec, get_model, load_config, model_names
else:
    __getattr__ = lazy_names(
        __name__,
        {"experiment": "run_experiment run_row", "registry": "MODEL_TABLE ModelSpec get_model load_config model_names"},
    )

__all__ = ["MODEL_TABLE", "ModelSpec", "get_model", "load_config", "model_names", "run_experiment", "run_row"]
