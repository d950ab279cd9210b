"""Test metrics with two values of one key, over seeds: what a change for speed does to the figures.

    python benchmarks/before_after.py KEY=BEFORE,AFTER [--dataset footwear] [--models LLMFashionRec,CORE,SASRec]
        [--seeds 3] [--out OUT] [--KEY=VALUE ..]

Such as `length_groups=False,True` or `fast_dropout=False,True`. Each model runs as the main job runs it, with all the
keys that are given; stages that exist are read, so a stopped run goes on with the same command. OUT/table.md has a line
per model and value. The difference of NDCG@10 is tested user by user, on each user's mean over the seeds. The last line
is `difference <number>`: after minus before, of the model that loses most.
"""

import argparse
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_llmfashion.config.command_line import read_keys, split_names
from recbole_llmfashion.cpu.allocator import keep_freed_memory
from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.markdown import markdown_table
from recbole_llmfashion.evaluation.significance import Comparison, compare_rows
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config

METRICS = ("recall@10", "ndcg@10")
SEED = 2020
SIDES = ("before", "after")
TITLES = ["model", "value", "Recall@10", "NDCG@10", "difference", "95 % interval over users", "p", "stages, minutes"]
RULES = ["---", "---", "---:", "---:", "---:", "---", "---:", "---:"]


def runs(model: str, dataset: str, keys: Mapping[str, Any], seeds: int, side: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The metrics and minutes of each seed, and the ranks of all of them."""
    found, ranks = [], []
    for seed in range(SEED, SEED + seeds):
        print(f"== {model}, {side}, seed {seed}", file=sys.stderr, flush=True)
        result = run_experiment(load_config(model, dataset, (), {**keys, "seed": seed}))
        minutes = sum(seconds for stage, seconds in result.seconds.items() if stage != "total") / 60
        found.append({name: result.metrics[name] for name in METRICS} | {"minutes": minutes})
        ranks.append(result.ranks[["user", "target", "rank"]].assign(model=side, seed=seed))
    return pd.DataFrame(found), pd.concat(ranks)


def lines(model: str, values: Sequence[Any], found: Sequence[pd.DataFrame], test: Comparison) -> list[list[str]]:
    """The two lines of a model."""
    more = [["", "", ""], [f"{test.difference:+.4f}", f"{test.low:+.4f} to {test.high:+.4f}", f"{test.p:.2g}"]]
    return [
        [model, f"`{value}`", *(_over_seeds(one[name]) for name in METRICS), *rest, f"{one['minutes'].mean():.1f}"]
        for value, one, rest in zip(values, found, more, strict=True)
    ]


def _over_seeds(values: pd.Series) -> str:
    return f"{values.mean():.4f}" + (f" ± {values.std():.4f}" if len(values) > 1 else "")


def arguments(words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Options and keys of a command line; ends with status 2 on what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("change", metavar="KEY=BEFORE,AFTER")
    parser.add_argument("--dataset", default="footwear")
    parser.add_argument("--models", default="LLMFashionRec,CORE,SASRec")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/before_after"))
    options, rest = parser.parse_known_args(words)
    name, equals, values = options.change.partition("=")
    if not equals or len(values.split(",")) != 2:
        parser.error(f"expected KEY=BEFORE,AFTER, found '{options.change}'; such as length_groups=False,True")
    options.name, options.values = name, [read_keys([f"--{name}={value}"])[name] for value in values.split(",")]
    return options, read_keys(rest)


def main(words: Sequence[str]) -> int:
    """Runs all, writes and prints the table; last, `difference <number>`. 2 for an error of the user."""
    options, keys = arguments(words)
    warnings.simplefilter("ignore", FutureWarning)  # of pandas, in RecBole
    keep_freed_memory()  # as the package's commands do
    rows, worst = [], float("inf")
    try:
        for model in split_names(options.models):
            sides = [
                runs(model, options.dataset, {**keys, options.name: value}, options.seeds, side)
                for side, value in zip(SIDES, options.values, strict=True)
            ]
            (test,) = compare_rows(pd.concat([ranks for _, ranks in sides]), "after", ["before"], "ndcg@10")
            rows += lines(model, options.values, [found for found, _ in sides], test)
            worst = min(worst, test.difference)
        folder = Path(load_config("Popularity", options.dataset, (), keys)["data_path"])
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    about = [
        f"Test rows of {options.dataset}, data sha256 {folder_sha256(folder, options.dataset)[:16]}; {options.seeds} "
        f"seeds from {SEED}; mean ± standard deviation over seeds. Interval and p (randomization test) are over users, "
        "on each user's mean over the seeds.",
        "LLMFashionRec's backbone tiny-falcon was pre-trained in simulated shops; simulated data, such as footwear, "
        "are by the same simulator.",
        f"Command: `python benchmarks/before_after.py {' '.join(words)}`.",
    ]
    page = "\n".join([f"# `{options.name}`, before and after", "", *markdown_table(TITLES, rows, RULES), ""])
    page += "\n" + "\n\n".join(about) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "table.md").write_text(page, "utf-8")
    print(page)
    print(f"difference {worst:+.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
