"""Batch inference: responses of the LLM to all rows of a split, in one or several processes, as Parquet."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.serving.batch.prompts import SplitPrompts, build_prompts
    from recbole_llmfashion.serving.batch.request import GenerateRequest
    from recbole_llmfashion.serving.batch.responder import BatchWorker
    from recbole_llmfashion.serving.batch.shards import ResponseShards
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "prompts": "SplitPrompts build_prompts",
            "request": "GenerateRequest",
            "responder": "BatchWorker",
            "shards": "ResponseShards",
        },
    )

__all__ = ["BatchWorker", "GenerateRequest", "ResponseShards", "SplitPrompts", "build_prompts"]
