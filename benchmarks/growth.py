"""Growth of each stage of the main job with the numbers of users and items, and an extrapolation to a larger shop.

    python benchmarks/growth.py [--users 250,500,1000] [--items 1250,5000,20000] [--at 10000000,10000000] [--out DIR]

Runs the main job on simulated footwear, first with increasing users and the middle value of `--items`, then with the
middle value of `--users` and increasing items; the log per user has constant length. Times are CPU seconds on one
thread. For each stage t = t0 + a * users + b * items + c * users * items is fitted with non-negative coefficients;
memory is the peak of the run. The table compares the measurement at the largest size with a fit to the smaller ones;
the coefficients and the order-of-magnitude estimate for `--at` come from a fit to all sizes. Finished runs are
reused.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import nnls
from tqdm import tqdm

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.quick_start import experiment
from recbole_llmfashion.quick_start.registry import get_model

THREADS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
Size = tuple[int, int]


def output_of(command: list[str]) -> str:
    """What a command prints; where it fails, its last words end this one."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | THREADS)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout


def measured(out: Path, size: Size) -> dict[str, float]:
    """CPU seconds by stage, `evaluation and the rest`, and `peak, MB`, of a run with so many users and items."""
    users, items = size
    folder = out / f"{users}-{items}"
    file = folder / "growth.json"
    if not file.is_file():
        if not (folder / "footwear").is_dir():
            tool = str(Path(sys.executable).with_name("recbole-llmfashion"))
            make = [tool, "simulate", "--category", "footwear", "--users", str(users), "--items", str(items)]
            output_of([*make, "--out", str(folder / "footwear")])
        file.write_text(output_of([sys.executable, __file__, "--run", str(folder)]).splitlines()[-1])
    made: dict[str, float] = json.loads(file.read_text())
    return made


def run(folder: Path) -> None:
    """LLMFashionRec on `folder`/footwear in this process, from nothing; what `measured` returns as a line of JSON."""
    # the job's clocks count what this process computes, whatever else the machine does
    vars(experiment)["perf_counter"] = vars(time)["perf_counter"] = time.process_time
    with tempfile.TemporaryDirectory() as saved:
        keys = {"data_path": str(folder), "checkpoint_dir": saved, "show_progress": False}
        config = load_config(get_model("LLMFashionRec").model, "footwear", overrides=keys, model_names=["CORE"])
        result = experiment.run_experiment(config)
    found = {name: seconds for name, seconds in result.seconds.items() if name != "total"}
    rest = result.seconds["total"] - sum(found.values())
    print(json.dumps(found | {"evaluation and the rest": rest, "peak, MB": result.peak_memory_mb}))


def law(sizes: Sequence[Size], values: Sequence[float]) -> np.ndarray:
    """[4] what a value has that is fixed, that each user adds, each item, and each pair of both; none below zero.

    Least squares of the relative errors, so that small sizes count as much as large ones.
    """
    terms = _terms(sizes)
    weights = 1 / np.maximum(np.asarray(values, float), 1e-3)
    found: np.ndarray = nnls(terms * weights[:, None], np.asarray(values, float) * weights)[0]
    return found


def _terms(sizes: Sequence[Size]) -> np.ndarray:
    users, items = np.asarray(sizes, float).T
    return np.column_stack([np.ones(len(sizes)), users, items, users * items])


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Prints what was measured, the law of each stage, and what it says of the check and of `--at`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=_numbers, default=[250, 500, 1000])
    parser.add_argument("--items", type=_numbers, default=[1250, 5000, 20000])
    parser.add_argument("--at", type=_numbers, default=[10_000_000, 10_000_000], help="users and items")
    parser.add_argument("--out", type=Path, default=Path("results/growth"))
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run)
        return
    users, items, far = options.users, options.items, tuple(options.at)
    middle = users[len(users) // 2], items[len(items) // 2]
    sizes = list(dict.fromkeys([*((u, middle[1]) for u in users), *((middle[0], n) for n in items)]))
    check = users[-1], items[-1]
    rows = [measured(options.out.resolve(), size) for size in tqdm([*sizes, check], desc="sizes")]
    heads = [f"{u:,} x {n:,}" for u, n in (*sizes, check)]
    each = "fixed | 1,000 users | 1,000 items | 10^6 pairs"
    print(f"| CPU seconds | {' | '.join(heads)} | the law says | {each} | {far[0]:,} x {far[1]:,} |")
    print(f"| --- |{' ---: |' * (len(heads) + 6)}")
    for name in rows[0]:
        values = [row[name] for row in rows]
        predicted = float((_terms([check]) @ law(sizes, values[:-1]))[0])
        found = law([*sizes, check], values)
        at_far = float((_terms([far]) @ found)[0])
        shown = f"{at_far / 1024:,.0f} GB" if name.endswith("MB") else f"{at_far / 3600:,.1f} h"
        cells = " | ".join(f"{value:.1f}" for value in (*values, predicted))
        parts = " | ".join(f"{part:.3g}" for part in found * [1, 1e3, 1e3, 1e6])
        print(f"| {name} | {cells} | {parts} | {shown} |")


if __name__ == "__main__":
    main()
