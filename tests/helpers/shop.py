"""Prompts of the hand-written shop of fakes.py, with each kind of item tokens."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.llm.modeling.tiny_falcon import train_tokenizer
from recbole_llmfashion.prompt.builder import PromptBuilder, PromptSettings
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.item_tokens import ItemTokens, atomic_tokens, semantic_tokens
from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory
from recbole_llmfashion.prompt.template import get_template
from tests.helpers.fakes import ITEM, SEARCH, hash_encoder, write_tiny

SETTINGS = PromptSettings(("category", "brand", "color", "size"), max_length=1024, max_new_tokens=64, dates=True)
TOKENIZER = train_tokenizer(
    [ITEM, SEARCH, "Predict the next purchase. product ID: title: click buy search top now"], 600
)
# by catalogue position: 16, 11, 12, 13, 14, 15; the boots have equal codes, the sandals share the first
CODES = np.array([[5, 0, 63], [1, 2, 3], [1, 2, 3], [7, 0, 0], [7, 9, 0], [0, 0, 0]])
KINDS = ("text", "atomic", "semantic")


def index_of(kind: str, item_ids: tuple[str, ...]) -> ItemTokens | None:
    tie = tie_rank(item_ids)
    if kind == "text":
        return None
    return atomic_tokens(tie, len(TOKENIZER)) if kind == "atomic" else semantic_tokens(CODES, tie, len(TOKENIZER))


def loader_for(
    root: Path,
    phase: str = "test",
    settings: PromptSettings = SETTINGS,
    template: str = "compact",
    kind: str = "text",
    keys: Mapping[str, Any] = MappingProxyType({}),
    **files: str,
) -> LLMFashionRecDataLoader:
    write_tiny(root, **files)
    loaders = make_loaders(load_config(SASRec, "tiny", overrides={"data_path": str(root), "topk": [3], **keys}))
    base: Any = getattr(loaders, phase)
    loader = LLMFashionRecDataLoader(base.config, base._dataset, base._sampler, training=phase == "train")
    log, dataset = loaders.dataset.search_log, loaders.dataset
    training = np.flatnonzero(log.training)
    rows = [(s, log.query_index[s], item, place) for s in training for place, item in enumerate(log.results(s))]
    columns = [np.array(c, np.int64) for c in zip(*rows, strict=True)] if rows else [np.zeros(0, np.int64)] * 4
    memory = QueryProductMemory(MemoryLog(*columns), log.queries, hash_encoder, 3, 5, np.arange(6))
    builder = PromptBuilder(
        TOKENIZER,
        get_template(template),
        dataset.catalogue,
        log.queries,
        log.query_index,
        memory,
        settings,
        index_of(kind, dataset.catalogue.item_ids),
    )
    loader.set_builder(builder)
    return loader


def texts(loader: LLMFashionRecDataLoader) -> list[str]:
    rows = np.arange(len(loader._dataset))
    return [loader.builder.decoder.decode(row.prompt.ids) for row in loader.rows(rows)]


def swap(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)
