"""A search on Ray Tune compared with the same trials run by a process pool without Ray.

    python benchmarks/tune.py [--dataset footwear] [--data_path dataset] [--checkpoint_dir saved] [--config_files '']

The trials are the twenty points of properties/hyper/mixup.yaml; a first, untimed trial computes missing stages. Both
sides start new interpreters in two workers with one thread each; their values must be equal, which is asserted. The
last line is `ratio <number>`: seconds of the search over seconds of the pool.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from recbole_llmfashion.cli.tune import main as search
from recbole_llmfashion.config.command_line import Arguments
from recbole_llmfashion.tuning.objective import VALUE, Job, run_trial
from recbole_llmfashion.tuning.options import Options
from recbole_llmfashion.tuning.plan import check, plan
from recbole_llmfashion.tuning.trial_log import TrialLog

SPACE = "properties/hyper/mixup.yaml"


def by_hand(job: Job, values: dict[str, Any]) -> float:
    """One trial's value."""
    warnings.simplefilter("ignore", FutureWarning)  # RecBole's, of pandas 3, a screenful a trial
    reports: list[dict[str, Any]] = []
    run_trial(job, values, reports.append)
    return float(reports[-1][VALUE])


def main() -> None:
    """Prints both times per round and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="footwear")
    parser.add_argument("--data_path", default="dataset")
    parser.add_argument("--checkpoint_dir", default="saved")
    parser.add_argument("--config_files", default="")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    argv = [
        "--model=LLMFashionRec", f"--dataset={options.dataset}", f"--data_path={options.data_path}", "--search=grid",
        f"--checkpoint_dir={options.checkpoint_dir}", f"--params_file={SPACE}", "--grace_period=0",
        f"--config_files={options.config_files}", "--ranking=mixup",
    ]  # fmt: skip
    keys = {"data_path": options.data_path, "checkpoint_dir": options.checkpoint_dir, "ranking": "mixup"}
    files = options.config_files.split()
    arguments = Arguments(["LLMFashionRec"], options.dataset, folder, files, keys)
    grid = Options(Path(SPACE), search="grid", grace_period=0)
    made = plan(arguments, grid, check(arguments, grid))
    points = made.space.grid()
    os.environ["OMP_NUM_THREADS"] = "1"  # as Ray sets it for a worker of one CPU
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        print(f"first trial, untimed: {pool.submit(by_hand, made.job, points[0]).result():.4f}", flush=True)

    ratios = []
    for number in range(options.rounds):
        start = time.perf_counter()
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            expected = list(pool.map(by_hand, [made.job] * len(points), points))
        hand = time.perf_counter() - start
        start = time.perf_counter()
        output = folder / str(number)
        assert search([*argv, f"--output={output}"]) == 0
        ray = time.perf_counter() - start
        trials = TrialLog(output / "journal.jsonl").trials
        assert [trials[n].value for n in range(len(points))] == expected
        ratios.append(ray / hand)
        print(f"{len(points)} trials, the same values: by hand {hand:.1f} s, searched {ray:.1f} s", flush=True)
    shutil.rmtree(folder)
    print(f"ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
