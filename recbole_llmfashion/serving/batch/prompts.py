"""The prompts of a split's rows, by the run's own memory and template: token for token those of its evaluation.

    row -> events before its target -> prompt -> index among the distinct prompts, longest first

A run folder holds no users, so the rows come from the dataset. Prompts are in the order in which one process answers
them (llm/batching.py), and a shard holds whole batches: the last bits of a result depend on the other prompts of its
batch, and these are then the same for any number of processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import make_loaders, rows_of, sampler_of
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import common_prefix
from recbole_llmfashion.llm.generation.response_cache import prompt_key
from recbole_llmfashion.pipeline.load import LoadedRun, run_builder, run_memory
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.stage_store import sha256, sha256_arrays, sha256_texts


@dataclass(frozen=True)
class SplitPrompts:
    """The rows of a split and their prompts.

    Args:
        users, targets: [n] tokens by row, in RecBole's order.
        prompt_of: [n] index of each row's prompt.
        prompts: the distinct prompts, longest first.
        keys: their digests.
        shard_size: number of prompts in a shard.
    """

    users: Sequence[str]
    targets: Sequence[str]
    prompt_of: np.ndarray
    prompts: Sequence[np.ndarray]
    keys: Sequence[str]
    shard_size: int

    @property
    def shards(self) -> int:
        """Number of shards."""
        return ceil(len(self.prompts) / self.shard_size)

    def prompts_of(self, shard: int) -> Sequence[np.ndarray]:
        """The prompts of a shard."""
        return self.prompts[shard * self.shard_size : (shard + 1) * self.shard_size]

    def rows_of(self, shard: int) -> np.ndarray:
        """The rows whose prompts are in a shard, ascending."""
        return np.flatnonzero(self.prompt_of // self.shard_size == shard)

    @cached_property
    def prefix_length(self) -> int:
        """Tokens that all prompts have in common at their start."""
        return common_prefix(self.prompts)

    @property
    def digest(self) -> str:
        """Digest of rows, prompts and shards."""
        rows = [sha256_texts(self.users), sha256_texts(self.targets), sha256_arrays(self.prompt_of)]
        return sha256([*rows, sha256_arrays(*self.prompts), self.shard_size])


def build_prompts(run: LoadedRun, config: LLMFashionConfig, split: str, shard_size: int) -> SplitPrompts:
    """The prompts of a split's rows.

    Args:
        run: with or without its LLM.
        config: of LLMFashionRec on the dataset of the rows.
        split: test or valid.
        shard_size: largest number of prompts in a shard; rounded up to whole batches of the run's decoding.

    Raises:
        UserError: the dataset has other items than the run, or no such row.
    """
    loaders = make_loaders(config)
    part = loaders.test if split == "test" else loaders.valid
    dataset, rows = loaders.dataset, rows_of(part).inter_feat
    if not len(rows_of(part)):
        raise UserError(f"--split: the dataset '{config['dataset']}' has no {split} row")
    texts = DatasetTexts(dataset)
    if list(texts.catalogue.item_ids) != list(run.pool.catalogue.item_ids):
        raise UserError(
            f"--run: {run.manifest.folder} has other items than the dataset '{config['dataset']}' in "
            f"{config['data_path']}; name the dataset that it was trained on, with the keys of its main job"
        )
    memory = run_memory(run, run.pool, run.pool.catalogue.tie_rank)
    if memory is not None:
        memory.prepare(texts.queries)  # in one batch, as the evaluation did
    loader = LLMFashionRecDataLoader(config, rows_of(part), sampler_of(part))
    builder = run_builder(run, run.pool, run.item_tokens)
    loader.set_builder(builder.with_queries(texts.queries, texts.log.query_index, memory))
    prompts = [row.prompt.ids for row in loader.rows(np.arange(len(rows_of(part))))]
    batch = run.decoding.batch_size
    return _in_order(
        dataset.id2token(dataset.uid_field, rows[dataset.uid_field].numpy()).tolist(),
        dataset.id2token(dataset.iid_field, rows[dataset.iid_field].numpy()).tolist(),
        prompts,
        ceil(shard_size / batch) * batch,
    )


def _in_order(users: list[str], targets: list[str], prompts: list[np.ndarray], shard_size: int) -> SplitPrompts:
    keys = [prompt_key(prompt) for prompt in prompts]
    distinct = dict(zip(keys, prompts, strict=True))
    names = list(distinct)
    order = np.argsort([-len(distinct[name]) for name in names], kind="stable")
    ordered = [names[i] for i in order]
    place = {name: i for i, name in enumerate(ordered)}
    prompt_of = np.asarray([place[key] for key in keys])
    return SplitPrompts(users, targets, prompt_of, [distinct[name] for name in ordered], ordered, shard_size)
