"""A split's rows as prompts, by the run's own memory and words: what its evaluation asked, token for token.

    row -> events before its target -> prompt -> place among the distinct prompts, longest first

A run folder has no users, so the rows come from the dataset, read as the main job reads it. Prompts are put in the
order in which one process answers them (llm/batches.py), so that a shard that ends where a batch ends holds whole
batches: what is computed for a prompt depends on the prompts beside it in its last bits, and these are then the same
however many processes there are. Knows no LLM.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.prefill import common_prefix
from recbole_llmfashion.llm.generation.response_cache import prompt_key
from recbole_llmfashion.pipeline.load import LoadedRun, run_builder, run_memory
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.stage_store import sha256, sha256_arrays, sha256_texts


@dataclass(frozen=True)
class SplitPrompts:
    """Rows and prompts.

    Args:
        users, targets: [n] tokens by row, in RecBole's order.
        prompt_of: [n] place of each row's prompt.
        prompts: the distinct ones, longest first.
        keys: their digests.
        shard_size: prompts of a shard.
    """

    users: Sequence[str]
    targets: Sequence[str]
    prompt_of: np.ndarray
    prompts: Sequence[np.ndarray]
    keys: Sequence[str]
    shard_size: int

    @property
    def shards(self) -> int:
        """How many there are."""
        return ceil(len(self.prompts) / self.shard_size)

    def prompts_of(self, shard: int) -> Sequence[np.ndarray]:
        """Of one shard."""
        return self.prompts[shard * self.shard_size : (shard + 1) * self.shard_size]

    def rows_of(self, shard: int) -> np.ndarray:
        """Rows whose prompt is of a shard, ascending."""
        return np.flatnonzero(self.prompt_of // self.shard_size == shard)

    @cached_property
    def begun(self) -> int:
        """How many tokens all prompts begin with."""
        return common_prefix(self.prompts)

    @property
    def digest(self) -> str:
        """Of rows, prompts and shards."""
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
    dataset, rows = loaders.dataset, part._dataset.inter_feat
    if not len(part._dataset):
        raise UserError(f"--split: the dataset '{config['dataset']}' has no {split} row")
    texts = DatasetTexts(dataset)
    if list(texts.catalogue.item_ids) != list(run.pool.catalogue.item_ids):
        raise UserError(
            f"--run: {run.manifest.folder} has other items than the dataset '{config['dataset']}' in "
            f"{config['data_path']}; name the dataset that it was trained on, with the keys of its main job"
        )
    memory = run_memory(run, run.pool, tie_rank(run.pool.catalogue.item_ids))
    if memory is not None:
        memory.prepare(texts.queries)  # in one batch, as the evaluation did
    loader = LLMFashionRecDataLoader(config, part._dataset, part._sampler)
    builder = run_builder(run, run.pool, run.item_tokens)
    loader.set_builder(builder.with_queries(texts.queries, texts.log.query_index, memory))
    prompts = [row.prompt.ids for row in loader.rows(np.arange(len(part._dataset)))]
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
