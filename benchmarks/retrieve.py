"""Heads of the title list with `ann_index: flat | ivf | hnsw`, and with torch's matmul and topk, on simulated titles.

    python benchmarks/retrieve.py [--items 1386910] [--kinds ivf hnsw] [--vectors titles.npy] [--queries 256]

The titles are those of a simulated catalogue of clothes. A title model is trained on pairs derived from a part of
them and embeds all titles (stored in --vectors for later calls). A query is half of the words of a title; the heads
are the first 10 items. An item with at least the score of the last item of the exact list is a hit. Times are CPU
seconds on one thread, so that other load matters little. The last line is `ratio <number>`: seconds per query of flat
over those of the last kind.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import torch

from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.dataset_tools.simulate.frames import item_frame, item_ids
from recbole_llmfashion.dataset_tools.simulate.shop.catalogue import make_catalogue
from recbole_llmfashion.dataset_tools.simulate.simulation import SimulationSettings
from recbole_llmfashion.embedding import approximate_index
from recbole_llmfashion.embedding.settings import TitleSettings
from recbole_llmfashion.embedding.title_model import derive_pairs, train_title_model
from recbole_llmfashion.retrieval.lists.cosine_table import CosineTable

LEARNED_FROM = 4000  # titles
ITEMS, AT, BATCH = 1_386_910, 10, 64


def embedded(items: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of so many simulated titles, and of queries."""
    category, *_ = SimulationSettings("clothing", users=1000, seed=1, items=items).resolved()
    rng = np.random.default_rng(1)
    titles = item_frame(make_catalogue(category, items, rng), item_ids(items, rng), rng)["title"].tolist()
    print(f"{items:,} titles, {len(set(titles)):,} distinct", flush=True)
    some = [titles[i] for i in rng.permutation(items)[:LEARNED_FROM]]
    settings = TitleSettings(width=64, hidden=128, epochs=2, batch_size=128, learning_rate=1e-3, margin=0.2, seed=1)
    model = train_title_model(derive_pairs([(title, "") for title in some], 1), some, settings, show_progress=False)
    texts = [query for query, _ in derive_pairs([(titles[i], "") for i in rng.permutation(items)[:queries]], 2)]
    return model.encode(titles, batch_size=4096), model.encode(texts)


def seconds(call: Callable[[], object], rounds: int) -> float:
    """The median of this process's own seconds over some calls, after one that is not counted."""
    call()
    found = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return statistics.median(found)


def torch_heads(vectors: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """The peer: [b, 10] without any care for ties."""
    return (queries @ vectors.T).topk(AT, dim=1).indices


def recall(table: CosineTable, exact: torch.Tensor, found: torch.Tensor, queries: torch.Tensor) -> float:
    """The share of `found` [b, 10] that scores no less than the last of `exact` [b, 10]."""
    least = table.score(queries, exact).min(dim=1, keepdim=True).values
    return float((table.score(queries, found) >= least - 1e-6).float().mean())


def top(table: CosineTable, queries: torch.Tensor) -> torch.Tensor:
    """The first AT items of each query [B, AT]."""
    return table.rank(queries).top(AT)


def main() -> None:
    """Prints a line a kind and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--kinds", nargs="+", default=["ivf", "hnsw"], choices=["ivf", "hnsw"])
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)

    if options.vectors is None or not options.vectors.is_file():
        vectors, searched = embedded(options.items, options.queries)
        if options.vectors is not None:
            np.save(options.vectors, np.concatenate([searched, vectors]))
    else:
        both = np.load(options.vectors)
        searched, vectors = both[: options.queries], both[options.queries :]
    tie = tie_rank([str(i) for i in range(len(vectors))])
    flat = CosineTable(vectors, tie)
    queries, rows = torch.from_numpy(searched), torch.from_numpy(vectors)
    print(
        f"{len(vectors):,} items, {len(flat.distinct):,} distinct vectors, {vectors.nbytes / 2**20:,.0f} MB", flush=True
    )
    exact = torch.cat([flat.rank(part).top(AT) for part in queries.split(BATCH)])

    def line(name: str, heads: Callable[[torch.Tensor], torch.Tensor], built: str) -> float:
        found = torch.cat([heads(part) for part in queries.split(BATCH)])
        one = statistics.mean(
            seconds(partial(heads, queries[i : i + 1]), options.rounds) for i in range(0, len(queries), 16)
        )
        many = seconds(lambda: heads(queries[:BATCH]), options.rounds) / BATCH
        share = recall(flat, exact, found, queries)
        print(f"| {name} | {share:.4f} | {one * 1000:.2f} | {many * 1000:.2f} | {built} |", flush=True)
        return one

    print("| index | recall@10 | ms, one query | ms per query, 64 at once | built in s, MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    line("torch matmul, topk", lambda part: torch_heads(rows, part), "")
    base = last = line("flat", partial(top, flat), "")
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            approximate_index.build(flat.distinct.numpy(), kind, Path(folder), "title")
            took, size = time.process_time() - start, (Path(folder) / "title.faiss").stat().st_size
            built = f"{took:.0f}, {size / 2**20:,.0f}"
            index = partial(approximate_index.load, kind=kind, folder=Path(folder), name="title")
            last = line(kind, partial(top, CosineTable(vectors, tie, index)), built)
    print(f"ratio {base / last:.1f}")


if __name__ == "__main__":
    main()
