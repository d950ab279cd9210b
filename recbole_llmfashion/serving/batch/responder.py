"""The LLM of one process: loaded once from a run folder, then given shard after shard."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from recbole_llmfashion.llm.generation.generator import item_generator
from recbole_llmfashion.llm.generation.response_cache import generate_responses
from recbole_llmfashion.pipeline.load import load_run, run_builder
from recbole_llmfashion.prompt.response import Response

SHARD, PROMPT, TEXT, ITEMS = "shard", "prompt", "response", "items"


class BatchWorker:
    """Answers shards of prompts in one process.

    Args:
        run: absolute path of a run folder.
        prefix_length: tokens that the prompts of all shards have in common at their start.
        threads: of this process.

    Raises:
        UserError: the folder cannot be loaded.
    """

    def __init__(self, run: str, prefix_length: int, threads: int) -> None:
        torch.set_num_threads(threads)
        loaded = load_run(Path(run))
        builder = run_builder(loaded, loaded.pool, loaded.item_tokens)
        self._generator = item_generator(loaded.model, builder, loaded.decoding, loaded.pool.titles)
        self._generator.share_prefix(prefix_length)
        self._num_beams, self._seed = loaded.num_beams, loaded.decoding.seed

    def answer(self, shard: int, prompts: Sequence[np.ndarray]) -> list[Response]:
        """Responses to the prompts of one shard; sampling uses random numbers of the shard's own seed."""
        settings = self._generator.settings
        self._generator.settings = replace(settings, seed=self._seed + shard)
        return generate_responses(self._generator, prompts, self._num_beams)

    def __call__(self, table: pa.Table) -> pa.Table:
        """`answer` on Arrow tables: `as_table` in; columns shard, response and items out."""
        (shard,) = set(table[SHARD].to_pylist())
        prompts = [np.asarray(prompt, np.int32) for prompt in table[PROMPT].to_pylist()]
        responses = self.answer(shard, prompts)
        columns = {
            SHARD: pa.array([shard] * len(responses), pa.int64()),
            TEXT: pa.array([response.text for response in responses], pa.string()),
            ITEMS: pa.array([response.items for response in responses], pa.list_(pa.int64())),
        }
        return pa.table(columns)


def as_table(shard: int, prompts: Sequence[np.ndarray]) -> pa.Table:
    """The prompts of a shard as one block."""
    shards = pa.array([shard] * len(prompts), pa.int64())
    return pa.table({SHARD: shards, PROMPT: pa.array(list(prompts), pa.list_(pa.int32()))})


def from_table(table: pa.Table) -> tuple[int, list[Response]]:
    """The shard and its responses from a table of BatchWorker."""
    (shard,) = set(table[SHARD].to_pylist())
    pairs = zip(table[TEXT].to_pylist(), table[ITEMS].to_pylist(), strict=True)
    return shard, [Response(text, np.asarray(items, np.int64)) for text, items in pairs]
