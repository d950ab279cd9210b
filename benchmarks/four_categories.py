"""The main job on simulated worlds of the four fashion categories, beside every baseline: the margin over the best.

    python benchmarks/four_categories.py [--seeds 7,8,9] [--users 2000] [--models SASRec,LLMFashionRec] [--out DIR]

Simulates a shop per category and seed, runs `run_recbole_llm.py --use_tuned=True` on each, two at a time, and joins
their results.json into DIR/table.md and DIR/results.json. Finished runs are read again: a killed run goes on with
the same command, and rows that a later call asks for join those that are there. The last line is `ratio <number>`, the
smallest of Recall@10 and NDCG@10 of LLMFashionRec over the best other row's, means over the seeds, of any category. A
row that has not been run on every seed is compared on those that it has.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean

CATEGORIES = ["luggage_bags", "footwear", "accessories_jewelry", "clothing"]
OURS = "LLMFashionRec"
MODELS = ["SASRec", "CORE", "GRU4Rec", "BERT4Rec", "NextItNet", "RecformerQuery", "SeqKNN", "QueryMemory", OURS]
METRICS = {"recall@10": "Recall@10", "ndcg@10": "NDCG@10"}

Rows = dict[str, dict[str, dict[str, float]]]
"""Model by model, its metrics by world, `<category>-<seed>`."""


def shared(rows: Rows, model: str, category: str) -> list[str]:
    """The worlds of a category that both the model and ours were run on."""
    both = rows.get(OURS, {}).keys() & rows.get(model, {}).keys()
    return sorted(world for world in both if world.rsplit("-", 1)[0] == category)


def average(rows: Rows, model: str, worlds: list[str], metric: str) -> float:
    """A model's mean over some worlds."""
    return mean(rows[model][world][metric] for world in worlds)


def margin(rows: Rows, category: str, metric: str) -> tuple[str, float] | None:
    """The other row that comes nearest to ours, and our mean over its, both over the worlds that it was run on."""
    ratios = {
        model: average(rows, OURS, worlds, metric) / average(rows, model, worlds, metric)
        for model in rows
        if model != OURS and (worlds := shared(rows, model, category))
    }
    best = min(ratios, key=lambda model: ratios[model], default=None)
    return None if best is None else (best, ratios[best])


def cell(rows: Rows, model: str, category: str, metric: str) -> str:
    """A mean, with the number of its worlds where they are fewer than ours; empty where there is none."""
    worlds, ours = shared(rows, model, category), shared(rows, OURS, category)
    if not worlds:
        return ""
    number = f"{average(rows, model, worlds, metric):.4f}"
    return number if worlds == ours else f"{number} ({len(worlds)} of {len(ours)})"


def table(rows: Rows) -> tuple[str, float]:
    """A Markdown table, and the smallest margin; infinity where there is none."""
    columns = [(category, metric) for category in CATEGORIES for metric in METRICS]
    head = " | ".join(f"{category} {METRICS[metric]}" for category, metric in columns)
    lines = [f"| model | {head} |", f"| --- |{' ---: |' * len(columns)}"]
    for model in rows:
        lines.append(f"| {model} | {' | '.join(cell(rows, model, *column) for column in columns)} |")
    margins = [margin(rows, *column) for column in columns]
    cells = [f"{found[1]:.2f} x {found[0]}" if found else "" for found in margins]
    lines.append(f"| {OURS} over the best other | {' | '.join(cells)} |")
    worlds = ", ".join(sorted(rows.get(OURS, {})))
    lines += ["", f"Means over {worlds}; a row of fewer worlds says so, and is compared on these alone."]
    return "\n".join(lines), min((found[1] for found in margins if found), default=float("inf"))


def run(command: list[str], log: Path) -> None:
    """One command of this repository; what it prints goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with log.open("w") as stream:
        code = subprocess.run(command, stdout=stream, stderr=stream, env=os.environ | threads).returncode
    if code:
        raise SystemExit(f"{' '.join(command)}: ended with {code}; see {log}")


def world(category: str, seed: int, users: int, models: list[str], out: Path) -> None:
    """Simulates one world where it is not there, and adds the models' rows to those it has."""
    data, rows = out / "worlds" / str(seed), out / "rows" / f"{category}-{seed}"
    if not (data / category).is_dir():
        make = [str(Path(sys.executable).with_name("recbole-llmfashion")), "simulate", "--category", category]
        run([*make, "--users", str(users), "--seed", str(seed), "--out", str(data / category)], rows / "simulate.log")
    for model in models:
        target = rows / model
        if (target / "results.json").is_file():
            continue
        job = [sys.executable, "run_recbole_llm.py", f"--model={model}", f"--dataset={category}", f"--data_path={data}"]
        job += [f"--checkpoint_dir={out / 'saved' / str(seed)}", "--use_tuned=True", "--show_progress=False"]
        run([*job, "--output", str(target)], rows / f"{model}.log")
        print(f"{category}, seed {seed}: {model}", flush=True)


def gather(out: Path, seeds: list[int]) -> Rows:
    """The rows that are finished."""
    rows: Rows = {}
    for model in MODELS:
        for category in CATEGORIES:
            for seed in seeds:
                file = out / "rows" / f"{category}-{seed}" / model / "results.json"
                if file.is_file():
                    found = json.loads(file.read_text())["models"][model]
                    rows.setdefault(model, {})[f"{category}-{seed}"] = found
    return rows


def main() -> None:
    """Runs what is missing, writes the table, and prints it and the smallest margin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="7,8,9")
    parser.add_argument("--categories", default=",".join(CATEGORIES))
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--out", type=Path, default=Path("results/four-categories"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    models, out = options.models.split(","), options.out.resolve()
    with ThreadPoolExecutor(options.workers) as pool:
        jobs = [
            pool.submit(world, category, seed, options.users, models, out)
            for seed in seeds
            for category in options.categories.split(",")
        ]
        for job in jobs:
            job.result()
    rows = gather(out, seeds)
    text, smallest = table(rows)
    (out / "table.md").write_text(f"{text}\n")
    (out / "results.json").write_text(json.dumps(rows, indent=1))
    print(text)
    print(f"ratio {smallest:.2f}")


if __name__ == "__main__":
    main()
