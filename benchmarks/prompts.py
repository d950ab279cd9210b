"""Prompt assembly from cached token ids compared with one batched call of the same fast tokenizer.

    python benchmarks/prompts.py [--dataset footwear] [--data_path dataset] [--prompts 4000] [--rounds 5]

Both sides produce the ids of the same prompts, with items as text; equality is asserted first. Only the assembly is
timed; the one-time tokenization of the pieces is printed separately. The last line is `ratio <number>`.
"""

import argparse
import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.dataset import HISTORY_LENGTH, RECOMMEND_TIME
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.data.timeline import Events
from recbole_llmfashion.pipeline.pipeline import own_pipeline
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.stage_store import StageStore

# a tokenizer cannot make the tokens that items have of their own
PAPER = {"item_tokens": "text", "prompt_item_text": True}


def request_of(loader: LLMFashionRecDataLoader, row: int) -> tuple[Events, float, list[int]]:
    """What the builder encodes for a row: the events before it, its moment, the memory's products."""
    feat: Any = loader._dataset.inter_feat
    user, length, now = (feat[name][row].item() for name in (loader.uid_field, HISTORY_LENGTH, RECOMMEND_TIME))
    events = loader._dataset.timeline.events(user, length)
    return events, now, loader.builder.memory_products(events, training=False)


def main() -> None:
    """Prints both rates and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="footwear")
    parser.add_argument("--data_path", default="dataset")
    parser.add_argument("--checkpoint_dir", default="saved")
    parser.add_argument("--prompts", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    overrides = {"data_path": options.data_path, "checkpoint_dir": options.checkpoint_dir, **PAPER}
    config = load_config(get_model("LLMFashionRec").model, options.dataset, overrides=overrides)
    loaders = make_loaders(config)
    store = StageStore(Path(options.checkpoint_dir) / options.dataset / "stages")
    pipeline = own_pipeline(config, loaders.dataset, store, lambda: None)
    start = time.perf_counter()
    builder = pipeline.inference.builder
    print(f"tokenizer, memory and {len(builder.item_names)} items' pieces: {time.perf_counter() - start:.2f} s, once")

    loader = LLMFashionRecDataLoader(config, loaders.test._dataset, None)
    loader.set_builder(builder)
    rows = list(itertools.islice(itertools.cycle(range(len(loader._dataset))), options.prompts))
    requests = [request_of(loader, row) for row in rows]
    tokenizer = pipeline.trained.llm.tokenizer
    texts = [tokenizer.decode(builder.encode(*request).ids) for request in requests]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    for request, expected in zip(requests, ids, strict=True):
        assert np.array_equal(builder.encode(*request).ids, expected)
    print(f"{len(ids)} prompts, {np.mean([len(row) for row in ids]):.0f} tokens each on average: identical ids")

    ratios = []
    for _ in range(options.rounds):
        start = time.perf_counter()
        tokenizer(texts, add_special_tokens=False)
        called = time.perf_counter() - start
        start = time.perf_counter()
        for request in requests:
            builder.encode(*request)
        assembled = time.perf_counter() - start
        ratios.append(called / assembled)
        print(f"tokenizer {len(ids) / called:,.0f} prompts/s, assembly {len(ids) / assembled:,.0f} prompts/s")
    print(f"ratio {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
