"""Training steps of RecBole's models on rows in groups of similar length, beside RecBole's own padded rows.

    python benchmarks/length_groups.py [--dataset footwear] [--models SASRec,CORE,..] [--steps 4] [--KEY=VALUE ..]

Both sides are RecBole's class with the same first weights and batches, one thread, dropout on; they take turns. The
losses without dropout are asserted to be equal to 1e-4. It prints CPU milliseconds per step for each model; the last
line is `ratio <number>`: padded over grouped, of the model that gains least.
"""

import argparse
import warnings
from collections.abc import Mapping
from copy import deepcopy
from itertools import chain, islice, repeat
from time import process_time
from typing import Any

MODELS = "GRU4Rec,SASRec,BERT4Rec,CORE"


def compare(model: str, dataset: str, keys: Mapping[str, Any], steps: int) -> tuple[float, float]:
    """CPU milliseconds per training step, padded and in groups; the first step of each is not counted."""
    import torch
    from recbole.utils import init_seed

    from recbole_llmfashion import compat
    from recbole_llmfashion.data.loaders import make_loaders, rows_of
    from recbole_llmfashion.model.length_groups import group_by_length
    from recbole_llmfashion.quick_start.registry import load_config

    config = load_config(model, dataset, (), {"show_progress": False, **keys})
    loaders = make_loaders(config)
    init_seed(config["seed"], True)
    padded = compat.build_model(config.model_class, config, rows_of(loaders.train))
    grouped = deepcopy(padded)
    group_by_length(grouped)
    sides, spent = (padded, grouped), [0.0, 0.0]
    for step, batch in enumerate(islice(chain.from_iterable(repeat(loaders.train)), steps + 1)):
        for side, own in enumerate(sides):
            own.train()
            start = process_time()
            own.zero_grad()
            own.calculate_loss(batch).backward()
            spent[side] += (process_time() - start) * (step > 0)
        with torch.no_grad():
            first, second = (float(own.eval().calculate_loss(batch)) for own in sides)
        assert abs(first - second) < 1e-4 * first, f"{model}: the losses are {first} and {second}"
    return spent[0] / steps * 1000, spent[1] / steps * 1000


def main() -> None:
    """Prints a line per model and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="footwear")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--steps", type=int, default=4)
    options, words = parser.parse_known_args()

    import torch

    from recbole_llmfashion import compat
    from recbole_llmfashion.config.command_line import read_keys, split_names
    from recbole_llmfashion.cpu.allocator import keep_freed_memory

    warnings.simplefilter("ignore", FutureWarning)  # of pandas, in RecBole
    keep_freed_memory()  # as the package's commands do
    torch.set_num_threads(1)
    compat.anomaly_mode_off()
    ratios = []
    for model in split_names(options.models):
        padded, grouped = compare(model, options.dataset, read_keys(words), options.steps)
        ratios.append(padded / grouped)
        print(
            f"{model}: {padded:.0f} ms per step padded, {grouped:.0f} ms in groups, ratio {ratios[-1]:.2f}", flush=True
        )
    print(f"ratio {min(ratios):.2f}")


if __name__ == "__main__":
    main()
