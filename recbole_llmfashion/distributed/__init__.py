"""Starting or joining a Ray cluster, and data-parallel fine-tuning on Ray Train."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.distributed.cluster import max_concurrent_trials, version_mismatch
    from recbole_llmfashion.distributed.finetune_workers import finetune_on_workers
else:
    __getattr__ = lazy_names(
        __name__, {"cluster": "max_concurrent_trials version_mismatch", "finetune_workers": "finetune_on_workers"}
    )

__all__ = ["finetune_on_workers", "max_concurrent_trials", "version_mismatch"]
