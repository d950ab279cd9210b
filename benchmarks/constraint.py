"""A step of the constraint compared with xgrammar and llguidance, which get the same IDs as a grammar over tokens.

    python benchmarks/constraint.py [--items 3500,20000,100000] [--ids atomic,semantic,text] [--rows 64] [--rounds 9]

A step takes the logits of every row of a batch to the best allowed tokens and the states after them: for the peers a
mask per row, applied to the logits, argmax and `accept`. IDs are atomic, semantic (random codes) and text (six digits
as the tokenizer of tiny-falcon splits them), each with the separator after it. Steps with one allowed token, such as
those of the separator, are not timed. First the script asserts that all three allow the same tokens after random
prefixes, later that they choose the same ones. Building and its memory are measured in a process of its own each, with
the vocabulary that a peer reads. Sides take turns; times are medians of processor time, which other jobs of the machine
do not lengthen. The last line is `ratio <number>`: the faster peer's step over ours, the worst of all.
"""

import argparse
import gc
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import psutil
import torch
from constraint_peers import Ids, LLGuidance, XGrammar
from torch import Tensor

from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.prompt.item_tokens import CODES, atomic_tokens, semantic_tokens
from recbole_llmfashion.prompt.response import SEPARATOR

KINDS = ("atomic", "semantic", "text")
PREFIXES = 32  # random prefixes whose next tokens are compared


def make_ids(kind: str, items: int, seed: int = 0) -> Ids:
    """IDs of a catalogue of this size."""
    tokenizer, rng = load_tokenizer(str(TINY_FALCON_FOLDER)), np.random.default_rng(seed)
    size, separator = len(tokenizer), tuple(tokenizer(SEPARATOR)["input_ids"])
    if kind == "text":
        names = rng.choice(np.arange(100_000, 1_000_000), items, replace=False)
        ids, new = tokenizer([f" {name}" for name in names])["input_ids"], 0
    else:
        tie = rng.permutation(items)
        tokens = atomic_tokens(tie, size) if kind == "atomic" else semantic_tokens(
            rng.integers(0, CODES, (items, 3)), tie, size
        )  # fmt: skip
        ids, new = [row.tolist() for row in tokens.ids], tokens.new_tokens
    vocab = [f"<{i}>{text}".encode() for i, text in enumerate(tokenizer.convert_ids_to_tokens(range(size)))]
    vocab += [f"<{size + i}>".encode() for i in range(new)]
    return Ids([(*row, *separator) for row in ids], vocab, tokenizer.eos_token_id)


class Ours:
    """ItemTrie, as greedy search calls it; the peers have the same methods."""

    def __init__(self, ids: Ids, text: str, threads: int) -> None:
        self.trie = ItemTrie.build(ids.sequences, len(ids.vocab))

    @staticmethod
    def grammar(sequences: Sequence[tuple[int, ...]]) -> str:
        """The text that the constructor needs beside the IDs."""
        return ""

    def start(self, rows: int) -> None:
        """All rows at the beginning of an ID."""
        self.state = torch.zeros(rows, dtype=torch.int64)

    def step(self, logits: Tensor, active: list[int]) -> Tensor:
        """The best allowed token of each active row, int64 [A]; the logits [B, V] may be changed."""
        if len(active) == len(logits):
            edges = self.trie.choose(self.state, logits)
            self.state = self.trie.children[edges].long()
        else:
            edges = self.trie.choose(self.state[active], logits[active])
            self.state[active] = self.trie.children[edges].long()
        return self.trie.tokens[edges].long()

    def allowed(self, prefix: Sequence[int]) -> set[int]:
        """The tokens that may follow a prefix."""
        state = torch.zeros(1, dtype=torch.int64)
        for token in prefix:
            edges = self.trie.edges(state)[0][0]
            state = self.trie.children[edges[self.trie.tokens[edges] == token]].long()
        return set(self.trie.tokens[self.trie.edges(state)[0][0]].tolist())


Side = Ours | XGrammar | LLGuidance
SIDES: dict[str, type[Side]] = {"ours": Ours, "xgrammar": XGrammar, "llguidance": LLGuidance}


def build_cost(name: str, ids: Ids, text: str, threads: int) -> tuple[float, float] | str:
    """Processor seconds and MB of building a side, its vocabulary included, in a process of its own; or its refusal."""
    receive, send = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        process = psutil.Process()
        gc.collect()
        before, start = process.memory_full_info().uss, time.process_time()
        try:
            side = SIDES[name](ids, text, threads)
        except RuntimeError as error:
            send.send(f"refused: {error}")
            return
        seconds = time.process_time() - start
        gc.collect()
        send.send((seconds, (process.memory_full_info().uss - before) / 1e6))
        del side

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    send.close()  # so that a child that dies is an EOFError, not a wait
    result = receive.recv()
    child.join()
    return result


def compare_allowed(ids: Ids, sides: dict[str, Side], seed: int = 0) -> None:
    """Asserts that all sides allow the same tokens after random prefixes of random IDs, and that these are the IDs'."""
    rng = np.random.default_rng(seed)
    for chosen in rng.integers(len(ids.sequences), size=PREFIXES):
        row = ids.sequences[chosen]
        prefix = row[: rng.integers(len(row))]
        expected = {other[len(prefix)] for other in ids.sequences if other[: len(prefix)] == prefix}
        for name, side in sides.items():
            assert side.allowed(prefix) == expected, f"{name} allows other tokens after {prefix}"


def plan(ours: Ours, rows: int, seed: int) -> tuple[list[Tensor], list[list[int]]]:
    """Random logits [B, V] for each step of a batch of IDs, and the rows that have not reached the separator."""
    generator = torch.Generator().manual_seed(seed)
    ours.start(rows)
    logits: list[Tensor] = []
    active: list[list[int]] = []
    alive = list(range(rows))
    while alive:
        logits.append(torch.randn(rows, ours.trie.vocab_size, generator=generator))
        active.append(alive)
        ours.step(logits[-1].clone(), alive)
        alive = [i for i in alive if 0 <= int(ours.state[i]) < ours.trie.tail]
    return logits, active


def walk(side: Side, logits: list[Tensor], active: list[list[int]]) -> tuple[float, list[list[int]]]:
    """Milliseconds of processor time per step, and the tokens of each step."""
    side.start(len(logits[0]))
    seconds, tokens = 0.0, []
    for scores, alive in zip(logits, active, strict=True):
        own = scores.clone()
        start = time.process_time()
        chosen = side.step(own, alive)
        seconds += time.process_time() - start
        tokens.append(chosen.tolist())
    return 1e3 * seconds / len(logits), tokens


def measure(kind: str, items: int, rows: int, rounds: int, threads: int) -> float:
    """Prints one line per side; returns the faster peer's step over ours."""
    ids = make_ids(kind, items)
    for name in SIDES.keys() - {"ours"}:
        import_module(name)  # not a part of building
    texts = {name: make.grammar(ids.sequences) for name, make in SIDES.items()}
    costs = {name: build_cost(name, ids, texts[name], threads) for name in SIDES}
    sides: dict[str, Any] = {
        name: make(ids, texts[name], threads) for name, make in SIDES.items() if not isinstance(costs[name], str)
    }
    compare_allowed(ids, sides)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(rounds + 1):  # nobody pays for the first
        logits, active = plan(sides["ours"], rows, round_)
        made = {name: walk(side, logits, active) for name, side in sides.items()}
        assert all(tokens == made["ours"][1] for _, tokens in made.values()), "the sides choose different tokens"
        for name in sides if round_ else ():
            taken[name].append(made[name][0])
    for name, built in costs.items():
        step = f"{statistics.median(taken[name]):.2f}" if name in taken else ""
        cells = f"{built} | " if isinstance(built, str) else f"{built[0]:.2f} | {built[1]:.1f}"
        print(f"| {kind} | {items:,} | {name} | {cells} | {step} |", flush=True)
    ratios = zip(taken["ours"], *(taken[name] for name in sides if name != "ours"), strict=True)
    return statistics.median(min(peers) / own for own, *peers in ratios)


def main() -> None:
    """Prints the table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", default="3500,20000,100000")
    parser.add_argument("--ids", default=",".join(KINDS))
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    missing = [name for name in SIDES if name != "ours" and find_spec(name) is None]
    if missing:
        parser.error(f"{', '.join(missing)} not installed: uv run --extra benchmarks python benchmarks/constraint.py")
    torch.set_num_threads(options.threads)
    print(f"{options.rows} rows, {options.threads} threads\n")
    print("| IDs | items | side | build, CPU s | build, MB | CPU ms per step |\n|---|---:|---|---:|---:|---:|")
    ratios = {
        f"{kind} {items}": measure(kind, int(items), options.rows, options.rounds, options.threads)
        for items in options.items.split(",")
        for kind in options.ids.split(",")
    }
    print(", ".join(f"{name}: {ratio:.2f}" for name, ratio in ratios.items()))
    print(f"ratio {min(ratios.values()):.2f}")


if __name__ == "__main__":
    main()
