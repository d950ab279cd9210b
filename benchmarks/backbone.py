"""What a backbone gains from real shops, by leaving one dataset out: tiny-falcon goes on with the others.

    python benchmarks/backbone.py prepare --data_path DIR [--shops 2]
    python benchmarks/backbone.py pretrain --without hm_week --minutes 5 [--threads 2] [--device cpu]
    python benchmarks/backbone.py evaluate --data_path DIR [--sets hm_week,..] [--no-finetune] [--KEY=VALUE ..]

DIR holds the datasets as folders of atomic files. `prepare` writes the training examples of each dataset, and of some
simulated shops, to OUT/examples/*.npz; they are all that `pretrain` reads. `pretrain` writes OUT/without-<dataset>, or
OUT/without-nothing with all of them, and ends after its minutes, which count from the start of the program; the
learning rate falls by the clock. `evaluate` compares tiny-falcon, the backbone that has not seen the dataset, and
untrained weights: on validation rows without training on the dataset, then as LLMFashionRec of a run. Results that
exist are read again, so the same command goes on after a kill. It writes OUT/table.md and OUT/results.json.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

STARTED = time.monotonic()
SETS = ["amazon_office", "amazon_beauty", "hm_week", "online_retail"]
SECONDS_TO_WRITE = 6
SPELLED = 0.3  # epochs over examples with titles per epoch over those with item tokens, as in properties/pretrain.yaml
SEED = 2020
CONSOLE = str(Path(sys.executable).with_name("recbole-llmfashion"))


def flat(rows: Sequence[Any]) -> dict[str, Any]:
    """Rows of integers as two arrays."""
    import numpy as np

    values = np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int32)
    return {"values": values, "lengths": np.asarray([len(row) for row in rows], np.int32)}


def save_examples(shop: Any, seen: Mapping[str, Any] | None, file: Path) -> None:
    """Writes a shop's examples without pickle."""
    import numpy as np

    parts = {"words": shop.words}
    for kind, examples in (("listed", shop.listed), ("spelled", shop.spelled)):
        parts[f"{kind}.prompt"] = [example.prompt for example in examples]
        parts[f"{kind}.response"] = [example.response for example in examples]
    parts["targets"] = [example.prompt_targets for example in shop.listed]
    arrays = {f"{name}.{part}": array for name, rows in parts.items() for part, array in flat(rows).items()}
    text = np.frombuffer(json.dumps(seen).encode(), np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}")
    with temporary.open("wb") as stream:
        np.savez_compressed(stream, positions=shop.positions, seen=text, **arrays)
    temporary.replace(file)


def load_examples(file: Path) -> tuple[Any, dict[str, Any] | None]:
    """What `save_examples` wrote."""
    import numpy as np

    from recbole_llmfashion.llm.batching import Example
    from recbole_llmfashion.llm.pretraining import ShopExamples

    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}

    def rows(name: str) -> list[Any]:
        ends = np.cumsum(arrays[f"{name}.lengths"])[:-1]
        return np.split(arrays[f"{name}.values"], ends) if len(arrays[f"{name}.lengths"]) else []

    listed = zip(rows("listed.prompt"), rows("listed.response"), rows("targets"), strict=True)
    spelled = zip(rows("spelled.prompt"), rows("spelled.response"), strict=True)
    shop = ShopExamples(
        file.stem,
        rows("words"),
        [Example(prompt, response, targets.astype(np.int64)) for prompt, response, targets in listed],
        [Example(prompt, response) for prompt, response in spelled],
        arrays["positions"],
    )
    return shop, json.loads(arrays["seen"].tobytes())


def pretrain_keys(**keys: Any) -> Any:
    """The keys of properties/pretrain.yaml with some changed."""
    from recbole_llmfashion.llm.pretraining import PretrainConfig

    file = Path(__file__).parents[1] / "properties" / "pretrain.yaml"
    return replace(PretrainConfig.read(file), backbone="tiny-falcon", copy_steps=0, **keys)


def prepare(options: argparse.Namespace) -> None:
    """Writes the examples that are not there yet."""
    from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
    from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
    from recbole_llmfashion.llm.pretraining import read_real_shop, read_shop
    from recbole_llmfashion.llm.pretraining.pretrain import make_shops

    tokenizer, folder = load_tokenizer(str(TINY_FALCON_FOLDER)), options.out / "examples"
    for name in SETS:
        file = folder / f"{name}.npz"
        if not file.is_file():
            shop, seen = read_real_shop(options.data_path / name, tokenizer, passes=1.0)
            save_examples(shop, asdict(seen), file)
        print(f"{file}: {file.stat().st_size / 2**20:.1f} MB", flush=True)
    # the first seed's shop of each category is for validation
    config = pretrain_keys(shops=str(options.out / "shops"), shops_per_category=options.shops - 1)
    config = replace(config, first_seed=config.first_seed + 1)
    paths = [path for paths in make_shops(config) for path in paths] if options.shops else []
    for number, path in enumerate(paths):
        file = folder / f"{path.name}.npz"
        if not file.is_file():
            save_examples(read_shop(path, tokenizer, SEED + number), None, file)
        print(f"{file}: {file.stat().st_size / 2**20:.1f} MB", flush=True)


def pretrain(options: argparse.Namespace) -> None:
    """Trains and writes one backbone, if it is not there yet."""
    folder = options.out / f"without-{options.without}"
    if (folder / "config.json").is_file():
        print(f"{folder}: is there")
        return
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import torch

    from recbole_llmfashion.llm.modeling.backbone import load_backbone
    from recbole_llmfashion.llm.modeling.item_embeddings import row_norm
    from recbole_llmfashion.llm.modeling.seen import SeenDataset
    from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
    from recbole_llmfashion.llm.pretraining import loop
    from recbole_llmfashion.llm.pretraining.model_card import card
    from recbole_llmfashion.llm.pretraining.pretrain import write_backbone

    torch.set_num_threads(options.threads)
    files = sorted((options.out / "examples").glob("*.npz"))
    loaded = [load_examples(file) for file in files if file.stem != options.without]
    shops, seen = [shop for shop, _ in loaded], [SeenDataset(**about) for _, about in loaded if about]
    backbone = load_backbone(str(TINY_FALCON_FOLDER), "none", "fp32", options.device)
    start = row_norm(str(TINY_FALCON_FOLDER), backbone.model.get_input_embeddings().weight)
    spent = (time.monotonic() - STARTED + SECONDS_TO_WRITE) / 60
    categories = [shop.name for shop, about in loaded if about is None]
    config = pretrain_keys(
        real_datasets=[one.name for one in seen],
        real_passes=options.passes,
        categories=categories,
        shops_per_category=1,
        listed_passes=options.passes,
        spelled_passes=SPELLED * options.passes,
        learning_rate=options.learning_rate,
        max_minutes=max(0.01, options.minutes - spent),
    )
    print(f"{options.without}: {sum(len(s.listed) for s in shops)} prompts after {60 * spent:.0f} s", flush=True)
    log = loop.pretrain(backbone.model, shops, config.training, sys.stderr.isatty(), start)
    write_backbone(
        folder, backbone.model, backbone.tokenizer, log["norm"], seen, card(config, backbone.model, log, [], 0, seen)
    )
    print(f"{folder}: {json.dumps(log)}, {time.monotonic() - STARTED:.0f} s in all", flush=True)


def backbones(out: Path, dataset: str) -> dict[str, Path]:
    """Name -> folder of those that one dataset compares; untrained weights are made here."""
    from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER, save_untrained

    untrained = out / "untrained"
    if not (untrained / "item_rows.json").is_file():  # written last
        untrained.mkdir(parents=True, exist_ok=True)
        save_untrained(untrained, SEED)
    return {"untrained": untrained, "tiny-falcon": TINY_FALCON_FOLDER, "left out": out / f"without-{dataset}"}


def zero_shot(data: Path, dataset: str, folder: Path) -> dict[str, float]:
    """Metrics of a backbone on the validation rows of a dataset that it is not trained on."""
    from recbole_llmfashion.llm.modeling.backbone import load_backbone
    from recbole_llmfashion.llm.modeling.item_embeddings import row_norm
    from recbole_llmfashion.llm.pretraining.model_card import measure
    from recbole_llmfashion.llm.pretraining.real_shops import read_validation

    backbone = load_backbone(str(folder), "none", "fp32")
    norm = row_norm(str(folder), backbone.model.get_input_embeddings().weight)
    found = measure(backbone.model, read_validation(data / dataset, backbone.tokenizer), norm)
    return {"recall@10": found["recall@10"], "ndcg@10": found["ndcg@10"], "rows": found["answers"]}


def finetuned(data: Path, dataset: str, folder: Path, output: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Metrics of LLMFashionRec on this backbone, from the results of a run."""
    file = output / "results.json"
    if not file.is_file():
        command = [CONSOLE, "run", "--model=LLMFashionRec", f"--dataset={dataset}", f"--data_path={data}"]
        # the rows of a dataset share what does not depend on the backbone: ID model, title model, CLIP tower
        saved = output.parent / "saved"
        where = [f"--llm_name_or_path={folder}", f"--output={output}", f"--checkpoint_dir={saved}"]
        code = subprocess.run([*command, *where, *keys]).returncode
        if code:
            raise SystemExit(code)
    row = json.loads(file.read_text(encoding="utf-8"))["models"]["LLMFashionRec"]
    names = ("recall@10", "ndcg@10")
    return {
        "valid": {name: row["valid"][name] for name in names},
        "test": {name: row[name] for name in names},
        "beams": row["lists"]["beams"]["ndcg@10"],
    }


def table(results: Mapping[str, Any]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| dataset | backbone | no training: Recall@10 | NDCG@10 | fine-tuned, validation: Recall@10 | NDCG@10 "
        "| test: Recall@10 | NDCG@10 | its beams alone |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for dataset, rows in results.items():
        for name, row in rows.items():
            numbers = [row["zero_shot"][metric] for metric in ("recall@10", "ndcg@10")]
            if "finetuned" in row:
                tuned = row["finetuned"]
                numbers += [*tuned["valid"].values(), *tuned["test"].values(), tuned["beams"]]
            cells = [f"{number:.4f}" for number in numbers]
            lines.append(f"| {' | '.join([dataset, name, *cells, *[''] * (7 - len(cells))])} |")
    return "\n".join(lines)


def evaluate(options: argparse.Namespace, keys: Sequence[str]) -> None:
    """Measures what is not measured yet, and writes the table after each row."""
    file = options.out / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for dataset in options.sets.split(","):
        for name, folder in backbones(options.out, dataset).items():
            if not (folder / "config.json").is_file():
                print(f"{dataset}, {name}: no {folder}; pretrain --without {dataset} makes it", file=sys.stderr)
                continue
            row = results.setdefault(dataset, {}).setdefault(name, {})
            if "zero_shot" not in row:
                row["zero_shot"] = zero_shot(options.data_path, dataset, folder)
            if not options.no_finetune and "finetuned" not in row:
                output = options.out / "runs" / f"{dataset}-{name.replace(' ', '-')}"
                row["finetuned"] = finetuned(options.data_path, dataset, folder, output, keys)
            file.write_text(f"{json.dumps(results, indent=1)}\n", encoding="utf-8")
            (options.out / "table.md").write_text(f"{table(results)}\n", encoding="utf-8")
    print(table(results))


def main() -> None:
    """Runs one of the three parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["prepare", "pretrain", "evaluate"])
    parser.add_argument("--out", type=Path, default=Path("results/backbone"))
    parser.add_argument("--data_path", type=Path, default=Path("dataset"))
    parser.add_argument("--shops", type=int, default=2, help="simulated shops per category to mix in")
    parser.add_argument("--without", choices=[*SETS, "nothing"], default="nothing")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--passes", type=float, default=10.0, help="at most, if the minutes allow them")
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--no-finetune", action="store_true")
    options, keys = parser.parse_known_args()
    if keys and options.part != "evaluate":
        parser.error(f"unknown: {' '.join(keys)}")
    if options.part == "evaluate":
        evaluate(options, keys)
    else:
        {"prepare": prepare, "pretrain": pretrain}[options.part](options)


if __name__ == "__main__":
    main()
