"""Full-sort evaluation compared with RecBole: seconds and peak memory by number of items.

    python benchmarks/evaluate.py [--items 20000 100000 400000] [--users 400] [--limit_mb 12288] [--lists]

Each side runs in its own process with at most --limit_mb of memory; a process that needs more fails, which the table
shows. Both evaluate the same untrained CORE on the same synthetic sequences: this package with its trainer, tiles and
`eval_memory_mb`, RecBole with its own loop, collector and evaluator and its default of 4096 users per batch. Metrics
must agree within 1e-4; the number of different ranks is printed. `--lists` adds the five fused lists of LLMFashionRec
over random tables of the same size. Times are CPU seconds on one thread; memory is the peak of the process, including
imports and tables. The last line is `ratio <number>`: seconds of RecBole over those of this package, at the largest
number of items that RecBole completed.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector, Evaluator
from recbole.model.sequential_recommender import CORE
from recbole.trainer import Trainer

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.eval_loader import MEGABYTE, EvalLoader
from recbole_llmfashion.evaluation.collector import Ordered, OrderedEvaluation, RankCollector
from recbole_llmfashion.model.tiled_scores import dot_orders
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.retrieval.fusion import equal_weights
from recbole_llmfashion.retrieval.lists.id_list import IdList
from recbole_llmfashion.retrieval.lists.title_list import TitleList
from recbole_llmfashion.retrieval.rankers import Rankers
from recbole_llmfashion.retrieval.ranking import FUSED, RankingSettings, ResponseLists, RowContext

THEIRS = 4096  # RecBole's default of eval_batch_size
LENGTH, WIDTH = 20, 128


def made_up(items: int, users: int) -> tuple[Any, Any, torch.Tensor, torch.Tensor, torch.Tensor]:
    """config, untrained CORE, sequences [U, L], lengths [U], targets [U], the same in every process."""
    config = load_config(CORE, "made_up", overrides={"topk": [10], "show_progress": False})
    fields = SimpleNamespace(item_num=items + 1, num=lambda field: items + 1, field2seqlen={"item_id_list": LENGTH})
    torch.manual_seed(0)
    model = CORE(config, fields).eval()
    generator = torch.Generator().manual_seed(1)
    sequences = torch.randint(1, items + 1, (users, LENGTH), generator=generator)
    # half of the targets were seen before, so that metrics are not all zero
    targets = torch.where(torch.arange(users) % 2 == 0, sequences[:, 3], torch.randint(1, items + 1, (users,)))
    return config, model, sequences, torch.full((users,), LENGTH), targets


def batches(config: Any, sequences: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, step: int) -> Any:
    """What RecBole's loader gives, a batch at a time."""
    for start in range(0, len(targets), step):
        rows = slice(start, start + step)
        fields = {"user_id": torch.arange(len(targets))[rows], "item_id": targets[rows]}
        batch = Interaction({**fields, "item_id_list": sequences[rows], "item_length": lengths[rows]})
        yield batch, None, torch.arange(len(targets[rows])), targets[rows]


@torch.no_grad()
def core(items: int, users: int, ours: bool) -> tuple[dict[str, float], list[int]]:
    """Metrics and ranks of the untrained CORE."""
    config, model, sequences, lengths, targets = made_up(items, users)
    trainer: Any = OrderedEvaluation()
    trainer.model, trainer.device, trainer.tot_item_num = model, "cpu", items + 1
    tie = torch.from_numpy(np.random.default_rng(2).permutation(items))
    ranks: list[int] = []
    if not ours:
        collector, step = Collector(config), THEIRS
    else:
        collector = trainer.eval_collector = RankCollector(config, tie.numpy())
        each = EvalLoader.score_bytes * (items + 1)
        step = min(config["eval_batch_size"], int(config["eval_memory_mb"] * MEGABYTE) // each)
        if ordered := dot_orders(model, tie):
            trainer.evaluate_orders(ordered, tie)
    evaluate = trainer._full_sort_batch_eval if trainer._ordered else partial(Trainer._full_sort_batch_eval, trainer)
    for batch in batches(config, sequences, lengths, targets, step):
        found = evaluate(batch)
        collector.eval_batch_collect(found[1], found[0], *found[2:])
        if not ours:  # RecBole keeps no rank
            own = found[1].gather(1, batch[3][:, None])
            ranks += ((found[1] > own).sum(dim=1) + 1).tolist()
    if ours:
        ranks = collector.take_ranks()["rank"].tolist()
    return dict(Evaluator(config).evaluate(collector.get_data_struct())), ranks


@torch.no_grad()
def lists(items: int, users: int) -> tuple[dict[str, float], list[int]]:
    """LLMFashionRec's lists, fused: heads of 10 and ranks; every answer has an ID and a title."""
    config = load_config(CORE, "made_up", overrides={"topk": [10]})
    rng = np.random.default_rng(0)
    tie = rng.permutation(items)
    ids = IdList(rng.standard_normal((items, 64), np.float32), tie)
    titles = rng.standard_normal((items, WIDTH), np.float32)
    titles /= np.linalg.norm(titles, axis=1, keepdims=True)
    rankers = Rankers(
        position_of={str(i): i for i in range(items)},
        id_list=ids,
        title_list=TitleList(titles, lambda texts: titles[[int(text) for text in texts]], tie),
        popularity=rng.integers(0, 100, items),
        session_list=ids.sessions(),
    )
    weights = {group: equal_weights(FUSED) for group in ("known", "new")}
    mixing = RankingSettings("fusion", 1, 10, 1, True, weights)
    collector = RankCollector(config, tie)
    each = LLMFashionRecDataLoader.user_bytes(items)
    step = min(config["eval_batch_size"], int(config["eval_memory_mb"] * MEGABYTE) // each)
    places = torch.from_numpy(tie)
    for start in range(0, users, step):
        beams = rng.integers(0, items, (min(step, users - start), 30))
        texts = [f"product ID: {row[0]}, title: {row[1]}" for row in beams]
        responses = [Response(text, row[:20]) for text, row in zip(texts, beams, strict=True)]
        rows = torch.from_numpy(beams)
        question = RowContext(rows[:, 20:] + 1, rows[:, :5] + 1, rows[:, :5] + 1, rows[:, 0] % 2 == 0)
        ranked = ResponseLists(rankers, places, responses, question).rank(mixing)
        batch = Interaction({"user_id": torch.arange(start, start + len(beams))})
        targets = torch.where(rows[:, 0] % 3 == 0, rows[:, 7], rows.sum(dim=1) % items) + 1
        nothing = torch.empty(len(beams), 0, dtype=torch.int64)
        ordered = Ordered(ranked.final, nothing, places)
        collector.eval_batch_collect(ordered, batch, torch.arange(len(beams)), targets)
    ranks = collector.take_ranks()["rank"].tolist()
    return dict(Evaluator(config).evaluate(collector.get_data_struct())), ranks


def side(name: str, items: int, users: int, limit_mb: int) -> None:
    """One side in this process; its outcome as a line of JSON."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (limit_mb * MEGABYTE, limit_mb * MEGABYTE))
    start = time.process_time()
    metrics, ranks = lists(items, users) if name == "lists" else core(items, users, name == "ours")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.process_time() - start, "mb": peak, "metrics": metrics, "ranks": ranks}))


def run(name: str, items: int, options: argparse.Namespace) -> dict[str, Any] | None:
    """The outcome of a side in its own process; None where it failed."""
    argv = [f"--side={name}", f"--items={items}", f"--users={options.users}", f"--limit_mb={options.limit_mb}"]
    done = subprocess.run([sys.executable, __file__, *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"killed, status {done.returncode}"])[-1]
        print(f"  {name} at {items:,} items: {last[:160]}", flush=True)
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Prints a line a number of items and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[20_000, 100_000, 400_000])
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--limit_mb", type=int, default=12 * 1024)
    parser.add_argument("--lists", action="store_true")
    parser.add_argument("--side", choices=["ours", "recbole", "lists"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side(options.side, options.items[0], options.users, options.limit_mb)
        return
    ratio = float("nan")
    names = ["ours", "recbole", *(["lists"] if options.lists else [])]
    for items in options.items:
        found = {name: run(name, items, options) for name in names}
        ours, theirs = found["ours"], found["recbole"]
        cells = [f"{one['seconds']:.1f} s, {one['mb']:,.0f} MB" if one else "failed" for one in found.values()]
        agree = ""
        if ours and theirs:
            for metric, value in theirs["metrics"].items():
                assert abs(value - ours["metrics"][metric]) <= 1e-4, (metric, value, ours["metrics"][metric])
            moved = sum(a != b for a, b in zip(ours["ranks"], theirs["ranks"], strict=True))
            agree, ratio = f"{moved} of {options.users} ranks differ", theirs["seconds"] / ours["seconds"]
        named = "; ".join(f"{name} {cell}" for name, cell in zip(found, cells, strict=True))
        print(f"{items:,} items, {options.users} users: {named}; {agree}", flush=True)
    print(f"ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
