"""The method's stages joined (paper, Figure 2), and a finished run as a folder."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.pipeline.export import export_run
    from recbole_llmfashion.pipeline.inference import Inference
    from recbole_llmfashion.pipeline.item_pool import ItemPool
    from recbole_llmfashion.pipeline.language_model import LanguageModel
    from recbole_llmfashion.pipeline.load import LoadedRun, load_run
    from recbole_llmfashion.pipeline.manifest import Manifest, read_manifest
    from recbole_llmfashion.pipeline.pipeline import Pipeline, make_pipeline
    from recbole_llmfashion.pipeline.training import TrainedModels
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "export": "export_run",
            "inference": "Inference",
            "item_pool": "ItemPool",
            "language_model": "LanguageModel",
            "load": "LoadedRun load_run",
            "manifest": "Manifest read_manifest",
            "pipeline": "Pipeline make_pipeline",
            "training": "TrainedModels",
        },
    )

__all__ = [
    "Inference",
    "ItemPool",
    "LanguageModel",
    "LoadedRun",
    "Manifest",
    "Pipeline",
    "TrainedModels",
    "export_run",
    "load_run",
    "make_pipeline",
    "read_manifest",
]
