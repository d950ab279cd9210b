"""A table by one process and by two (key `n_jobs`): minutes, memory, and whether the figures are equal.

    python benchmarks/jobs.py [--model LLMFashionRec,CORE] [--dataset footwear] [--key=value ..]

Each side is run_recbole_llm.py in a process of its own, with empty folders, one side after the other. Figures are those
of results.json; they may differ by rounding, for the number of threads changes the order of sums. The last line is
`ratio <number>`: the wall-clock time of one process over that of two.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
METRICS = ("recall@10", "ndcg@10")
DIFFERENCE = 0.005  # of a metric between the sides


def run(n_jobs: int, words: list[str], folder: Path) -> dict[str, Any]:
    """A side: seconds, peak MB of the whole, and the metrics of each row."""
    places = [f"--checkpoint_dir={folder / 'saved'}", f"--output={folder / 'out'}", f"--n_jobs={n_jobs}"]
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "run_recbole_llm.py"), *words, *places]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    rows = json.loads((folder / "out/results.json").read_text())["models"]
    metrics = {name: [row[metric] for metric in METRICS] for name, row in rows.items()}
    return {"seconds": seconds, "mb": max(row["peak_memory_mb"] for row in rows.values()), "metrics": metrics}


def main() -> None:
    """Prints a line per side and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="LLMFashionRec,CORE")
    parser.add_argument("--dataset", default="footwear")
    options, keys = parser.parse_known_args()
    words = [f"--model={options.model}", f"--dataset={options.dataset}", *keys]
    sides = {}
    for n_jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            side = sides[n_jobs] = run(n_jobs, words, Path(folder))
        rows = ", ".join(f"{name} {'/'.join(f'{x:.4f}' for x in found)}" for name, found in side["metrics"].items())
        print(
            f"{n_jobs} process(es): {side['seconds'] / 60:.1f} minutes, peak {side['mb']:,.0f} MB; {rows}", flush=True
        )
    for name, found in sides[1]["metrics"].items():
        worst = max(abs(one - two) for one, two in zip(found, sides[2]["metrics"][name], strict=True))
        assert worst <= DIFFERENCE, f"{name}: the sides differ by {worst:.4f}"
    print(f"ratio {sides[1]['seconds'] / sides[2]['seconds']:.2f}")


if __name__ == "__main__":
    main()
