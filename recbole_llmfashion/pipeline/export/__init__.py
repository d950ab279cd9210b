"""A run on its way to other machines: one folder in the layout of the Hugging Face hub, its model card, and the hub."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.pipeline.export.card import backbone_name, model_card
    from recbole_llmfashion.pipeline.export.folder import export_run
    from recbole_llmfashion.pipeline.export.hub import check_repository, find_run, upload_run
else:
    __getattr__ = lazy_names(
        __name__,
        {"card": "backbone_name model_card", "folder": "export_run", "hub": "check_repository find_run upload_run"},
    )

__all__ = ["backbone_name", "check_repository", "export_run", "find_run", "model_card", "upload_run"]
