"""From files to encoded test prompts, compared with RecBole's SequentialDataset up to its loaders.

    python benchmarks/data.py [--category clothing] [--shares 1,3,10] [--length 50] [--out DIR]

Simulates the category at shares of the users of Table 1 (per cent) and runs each side in a new process. This package
loads, splits, builds the timelines and encodes the prompts of the test rows (without recalled products, which need a
trained text tower); RecBole loads, augments and splits. The sequences of both must be equal, which is asserted; the
click filter is off, since RecBole has none. Times are CPU seconds of all threads; memory is the peak of the process.
The last line is `ratio <number>`: peak memory of RecBole over that of this package, at the largest share.
"""

import argparse
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from recbole_llmfashion.dataset_tools.simulate.simulation import CATEGORIES

CHUNK = 65_536
Row = dict[str, Any]


def config_of(folder: Path, length: int) -> Any:
    """SASRec's config on a folder, without a click filter."""
    from recbole.model.sequential_recommender import SASRec

    from recbole_llmfashion.config.configurator import load_config

    keys = {"data_path": str(folder.parent), "MAX_ITEM_LIST_LENGTH": length, "click_filter": "none"}
    return load_config(SASRec, folder.name, overrides=keys)


def digest(dataset: Any) -> str:
    """Of every row's user, target and sequence, by the tokens' places in the files."""
    import numpy as np
    import pandas as pd

    places = {
        field: pd.factorize(np.asarray(dataset.field2id_token[field], str)[1:], sort=True)[0] + 1
        for field in (dataset.uid_field, dataset.iid_field)
    }
    users, items = (np.r_[0, places[field]] for field in (dataset.uid_field, dataset.iid_field))
    order = np.argsort(users[dataset.inter_feat[dataset.uid_field].numpy()], kind="stable")
    made = hashlib.sha256()
    for start in range(0, len(order), CHUNK):
        rows = dataset[order[start : start + CHUNK]]
        made.update(users[rows[dataset.uid_field].numpy()].tobytes())
        made.update(items[rows[dataset.iid_field].numpy()].tobytes())
        made.update(items[rows[f"{dataset.iid_field}_list"].numpy()].tobytes())
    return made.hexdigest()


def ours(folder: Path, length: int) -> Row:
    """Seconds by step."""
    import numpy as np

    from recbole_llmfashion.config.configurator import load_config
    from recbole_llmfashion.data.loaders import make_loaders
    from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
    from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
    from recbole_llmfashion.pipeline import settings
    from recbole_llmfashion.prompt.builder import PromptBuilder
    from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
    from recbole_llmfashion.prompt.item_tokens import atomic_tokens
    from recbole_llmfashion.prompt.template import get_template
    from recbole_llmfashion.quick_start.registry import get_model

    start = time.process_time()
    loaders = make_loaders(config_of(folder, length))
    data, log = loaders.dataset, loaders.dataset.search_log
    loaded = time.process_time()
    keys = {"data_path": str(folder.parent), "eval_memory_mb": 1 << 30}
    config = load_config(get_model("LLMFashionRec").model, folder.name, overrides=keys)
    tokenizer = load_tokenizer(str(TINY_FALCON_FOLDER))
    index = atomic_tokens(data.catalogue.tie_rank, len(tokenizer))
    chosen = settings.prompt_settings(config, data.has_dates)
    template = get_template(config["prompt_template"])
    builder = PromptBuilder(tokenizer, template, data.catalogue, log.queries, log.query_index, None, chosen, index)
    pieces = time.process_time()
    loader = LLMFashionRecDataLoader(config, loaders.test._dataset, None)
    loader.set_builder(builder)
    prompts = [row.prompt.ids for row in loader.rows(np.arange(len(loader._dataset)))]
    encoded = time.process_time()
    return {
        "rows": len(data),
        "prompts": len(prompts),
        "tokens": int(sum(map(len, prompts))),
        "load": loaded - start,
        "pieces": pieces - loaded,
        "encode": encoded - pieces,
        "seconds": encoded - start,
        "peak": peak(),
        "digest": digest(data),
    }


def theirs(folder: Path, length: int) -> Row:
    """RecBole's own classes on the same files."""
    from recbole.data.dataset import SequentialDataset
    from recbole.data.utils import data_preparation
    from recbole.utils import init_seed

    config = config_of(folder, length)
    config["load_col"] = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]}
    start = time.process_time()
    init_seed(config["seed"], config["reproducibility"])
    dataset = SequentialDataset(config)
    data_preparation(config, dataset)
    seconds = time.process_time() - start
    return {"rows": len(dataset), "seconds": seconds, "peak": peak(), "digest": digest(dataset)}


def peak() -> float:
    """Of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def apart(side: str, folder: Path, length: int) -> Row:
    """One side in a fresh process, whose peak memory is its own."""
    command = [sys.executable, __file__, "--side", side, "--out", str(folder), "--length", str(length)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    if done.returncode:
        return {"failed": done.returncode, "stderr": done.stderr.strip().splitlines()[-1:]}
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def simulated(out: Path, category: str, share: float) -> Path:
    """The folder of one share, made where it is not there."""
    folder = out / f"{share:g}" / category
    if not folder.is_dir():
        make = [str(Path(sys.executable).with_name("recbole-llmfashion")), "simulate", "--category", category]
        make += ["--users", str(round(CATEGORIES[category].users * share / 100)), "--out", str(folder)]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def slope(shares: list[float], values: list[float]) -> str:
    """The exponent between the smallest and the largest share; nothing for one share."""
    if len(values) < 2:
        return ""
    return f"{math.log(values[-1] / values[0]) / math.log(shares[-1] / shares[0]):.2f}"


def main() -> None:
    """Prints the table, the growth, and last `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--category", default="clothing", choices=sorted(CATEGORIES))
    parser.add_argument("--shares", default="1,3,10")
    parser.add_argument("--length", type=int, default=50, help="MAX_ITEM_LIST_LENGTH; RecBole's default")
    parser.add_argument("--out", type=Path, default=Path("results/data"))
    parser.add_argument("--side", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side = ours if options.side == "ours" else theirs
        print(json.dumps(side(options.out, options.length)))
        return
    shares = [float(share) for share in options.shares.split(",")]
    print("| share | rows | ours: load | pieces | encode | sum | GB | RecBole: load | GB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    made: list[tuple[float, Row, Row]] = []
    for share in shares:
        folder = simulated(options.out.resolve(), options.category, share)
        mine, other = (apart(side, folder, options.length) for side in ("ours", "theirs"))
        if "failed" in mine:
            raise SystemExit(f"ours failed at {share:g} %: {mine['stderr']}")
        line = f"| {share:g} % | {mine['rows']:,} | " + " | ".join(
            f"{mine[step]:.1f} s" for step in ("load", "pieces", "encode", "seconds")
        )
        if "failed" in other:
            print(f"{line} | {mine['peak']:.2f} | ended with {other['failed']} | |", flush=True)
            continue
        assert mine["digest"] == other["digest"], "the sequences differ"
        print(f"{line} | {mine['peak']:.2f} | {other['seconds']:.1f} s | {other['peak']:.2f} |", flush=True)
        made.append((share, mine, other))
    at = [share for share, _, _ in made]
    growth = [
        slope(at, [float(row[what]) for row in rows])
        for rows in zip(*[m[1:] for m in made], strict=True)
        for what in ("seconds", "peak")
    ]
    print(f"growth, exponent of the share: ours {growth[0]} time, {growth[1]} memory; RecBole {growth[2]}, {growth[3]}")
    print(f"ratio {made[-1][2]['peak'] / made[-1][1]['peak']:.2f}")


if __name__ == "__main__":
    main()
