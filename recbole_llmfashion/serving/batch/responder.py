"""One process's LLM: loaded once from a run folder, then asked shard after shard. Knows no Ray and no users."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from recbole_llmfashion.llm.generation.generator import make_generator
from recbole_llmfashion.llm.generation.response_cache import generate_responses
from recbole_llmfashion.pipeline.load import load_run, make_builder
from recbole_llmfashion.prompt.response import Response

SHARD, PROMPT, TEXT, ITEMS = "shard", "prompt", "response", "items"


class BatchWorker:
    """See the module.

    Args:
        run: a run folder, absolute.
        begun: how many tokens the prompts of all shards begin with.
        threads: of this process.

    Raises:
        UserError: the folder cannot be loaded.
    """

    def __init__(self, run: str, begun: int, threads: int) -> None:
        torch.set_num_threads(threads)
        loaded = load_run(Path(run))
        builder = make_builder(loaded, loaded.pool, loaded.index)
        prefix, titles = builder.id_prefix.tolist(), loaded.pool.titles
        self._generator = make_generator(
            loaded.model, builder.decoder, loaded.decoding, builder.allowed_ids, prefix, titles
        )
        self._generator.begin_with(begun)
        self._beams, self._seed = loaded.beams, loaded.decoding.seed

    def answer(self, shard: int, prompts: Sequence[np.ndarray]) -> list[Response]:
        """Responses to one shard's prompts; where they are sampled, from random numbers of the shard's own."""
        settings = self._generator.settings
        self._generator.settings = replace(settings, seed=self._seed + shard)
        return generate_responses(self._generator, prompts, self._beams)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same as tables: `as_table` in, shard, response and items out."""
        (shard,) = set(table[SHARD].to_pylist())
        prompts = [np.asarray(prompt, np.int32) for prompt in table[PROMPT].to_pylist()]
        said = self.answer(shard, prompts)
        columns = {
            SHARD: pa.array([shard] * len(said), pa.int64()),
            TEXT: pa.array([response.text for response in said], pa.string()),
            ITEMS: pa.array([response.items for response in said], pa.list_(pa.int64())),
        }
        return pa.table(columns)


def as_table(shard: int, prompts: Sequence[np.ndarray]) -> pa.Table:
    """A shard's prompts as one block."""
    shards = pa.array([shard] * len(prompts), pa.int64())
    return pa.table({SHARD: shards, PROMPT: pa.array(list(prompts), pa.list_(pa.int32()))})


def from_table(table: pa.Table) -> tuple[int, list[Response]]:
    """What `BatchWorker` gave, back."""
    (shard,) = set(table[SHARD].to_pylist())
    pairs = zip(table[TEXT].to_pylist(), table[ITEMS].to_pylist(), strict=True)
    return shard, [Response(text, np.asarray(items, np.int64)) for text, items in pairs]
