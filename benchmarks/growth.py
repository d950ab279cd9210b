"""How each stage of the main job grows with users and with items, and what that law says of a far larger shop.

    python benchmarks/growth.py [--users 250,500,1000] [--items 1250,5000,20000] [--at 10000000,10000000] [--out DIR]

Runs the main job on simulated footwear, first with more and more users and `--items`' middle value, then with the
middle number of users and more and more items; the log of a user stays as long. A stage's seconds are the CPU's: its
wall time by the share of the CPU that the run had, one thread. For each stage t = t0 * users^a * items^b is fitted by
least squares of the logarithms, so a and b are its growth; memory is the run's peak. What is finished is found again.
The law is a law between the sizes that were run; `--at` shows what it would say of a size beyond them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np

THREADS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
Size = tuple[int, int]


def measured(out: Path, size: Size) -> dict[str, float]:
    """CPU seconds by stage, `evaluation and the rest`, and `peak, MB`, of a run with so many users and items."""
    users, items = size
    folder = out / f"{users}-{items}"
    file = folder / "growth.json"
    if not file.is_file():
        data = folder / "footwear"
        if not data.is_dir():
            tool = str(Path(sys.executable).with_name("recbole-llmfashion"))
            make = [tool, "simulate", "--category", "footwear", "--users", str(users), "--items", str(items)]
            subprocess.run([*make, "--out", str(data)], check=True, capture_output=True)
        job = [sys.executable, "run_recbole_llm.py", "--model=LLMFashionRec", "--dataset=footwear"]
        job += [f"--data_path={folder}", f"--checkpoint_dir={folder / 'saved'}", "--show_progress=False"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [*job, "--output", str(folder / "out")], check=True, capture_output=True, env=os.environ | THREADS
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        row = json.loads((folder / "out" / "results.json").read_text())["models"]["LLMFashionRec"]
        wall = row["seconds"]
        share = min(1.0, spent / wall["total"])
        stages = {name: seconds * share for name, seconds in wall.items() if name != "total"}
        rest = max(0.0, wall["total"] * share - sum(stages.values()))
        found = stages | {"evaluation and the rest": rest, "peak, MB": row["peak_memory_mb"]}
        file.write_text(json.dumps(found, indent=1))
    made: dict[str, float] = json.loads(file.read_text())
    return made


def law(sizes: list[Size], values: list[float]) -> tuple[float, float, float]:
    """(log t0, a, b) of the least squares of the logarithms."""
    logs = np.log(np.asarray(sizes, float))
    left = np.column_stack([np.ones(len(sizes)), logs])
    found = np.linalg.lstsq(left, np.log(np.maximum(values, 1e-3)), rcond=None)[0]
    return float(found[0]), float(found[1]), float(found[2])


def main() -> None:
    """Prints what was measured, the law of each stage, and what it says of `--at`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", default="250,500,1000")
    parser.add_argument("--items", default="1250,5000,20000")
    parser.add_argument("--at", default="10000000,10000000", help="users and items")
    parser.add_argument("--out", type=Path, default=Path("results/growth"))
    options = parser.parse_args()
    users, items = ([int(n) for n in text.split(",")] for text in (options.users, options.items))
    middle = users[len(users) // 2], items[len(items) // 2]
    sizes = list(dict.fromkeys(chain(((u, middle[1]) for u in users), ((middle[0], n) for n in items))))
    rows = [measured(options.out.resolve(), size) for size in sizes]
    far = tuple(int(n) for n in options.at.split(","))
    heads = [f"{u:,} x {n:,}" for u, n in (*sizes, far)]
    print(f"| CPU seconds | {' | '.join(heads[:-1])} | users^a | items^b | {heads[-1]} |")
    print(f"| --- |{' ---: |' * (len(sizes) + 3)}")
    for name in rows[0]:
        values = [row[name] for row in rows]
        start, a, b = law(sizes, values)
        told = np.exp(start + a * np.log(far[0]) + b * np.log(far[1]))
        shown = f"{told / 1024:,.0f} GB" if name.endswith("MB") else f"{told / 3600:,.1f} h"
        cells = " | ".join(f"{value:.1f}" for value in values)
        print(f"| {name} | {cells} | {a:.2f} | {b:.2f} | {shown} |")


if __name__ == "__main__":
    main()
