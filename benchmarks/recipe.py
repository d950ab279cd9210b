"""The fine-tuning recipe: validation NDCG@10 of the LLM's item tokens by setting, one adapter per dataset and setting.

    python benchmarks/recipe.py DIR [--datasets amazon_office,hm_week] [--settings default,no_dropout] [--users N]
        [--out OUT]

DIR holds datasets in atomic files. Each adapter trains as the main job trains it, and after each epoch the true next
item of at most 2,000 validation rows is ranked among all items by the LLM's scores alone (`early_stopping_patience`, so
large that nothing stops). Nothing reads a test row. `--users` keeps that many training prompts, by a fixed sample.
Settings that are done are read again, so a killed run goes on with the same command, and several processes may work
on different settings with the same OUT. OUT/table.md has a row per setting; its best epochs are those on validation.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

NEVER = 1000
OLD = {"loss_on_title": True, "llm_dropout": None, "llm_learning_rate": 2e-3, "llm_epochs": 6, "curriculum_epochs": 8}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "before": OLD,
    "titles": {"loss_on_title": True},
    "no_dropout": {"llm_dropout": None},
    "dropout_0.3": {"llm_dropout": 0.3},
    "history_dropout_0.1": {"history_dropout": 0.1},
    "label_smoothing_0.1": {"label_smoothing_factor": 0.1},
    "llm_lr_1e-3": {"llm_learning_rate": 1e-3},
    "llm_lr_2e-3": {"llm_learning_rate": 2e-3},
    "llm_lr_8e-3": {"llm_learning_rate": 8e-3},
    "item_lr_0.25": {"item_embedding_lr": 0.25},
    "item_lr_1": {"item_embedding_lr": 1.0},
    "rank_64": {"lora_r": 64, "lora_alpha": 64},
    "epochs_2": {"llm_epochs": 2, "curriculum_epochs": 3},
    "epochs_8": {"llm_epochs": 8, "curriculum_epochs": 9},
    "batch_32": {"llm_batch_size": 32},
    "cosine": {"lr_scheduler_type": "cosine"},
    "neighbors": {"item_embedding_init": "neighbors"},
    "neighbors_epochs_2": {"item_embedding_init": "neighbors", "llm_epochs": 2, "curriculum_epochs": 3},
}


def trained(data_path: Path, dataset: str, keys: Mapping[str, Any], users: int | None, out: Path) -> dict[str, Any]:
    """Fine-tunes with some keys; the scores of the epochs, the seconds, the command and the data's hash."""
    from recbole_llmfashion.data.loaders import make_loaders, rows_of, sampler_of, stage_root
    from recbole_llmfashion.pipeline.finetuning_rows import training_examples, validation_rows
    from recbole_llmfashion.pipeline.pipeline import own_pipeline
    from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
    from recbole_llmfashion.quick_start import load_config
    from recbole_llmfashion.stage_store import StageStore

    folders = {"data_path": str(data_path), "checkpoint_dir": str(out / "saved"), "show_progress": False}
    config = load_config("LLMFashionRec", dataset, (), {**folders, "early_stopping_patience": NEVER, **keys})
    loaders = make_loaders(config)
    pipeline = own_pipeline(config, loaders.dataset, StageStore(stage_root(config)), lambda: None)
    train = LLMFashionRecDataLoader(config, rows_of(loaders.train), sampler_of(loaders.train), training=True)
    valid = LLMFashionRecDataLoader(config, rows_of(loaders.valid), sampler_of(loaders.valid))
    inference = pipeline.inference
    examples, validation = training_examples(inference, train), validation_rows(inference, valid)
    if users is not None and users < len(examples):
        kept = np.sort(np.random.default_rng(0).permutation(len(examples))[:users])
        examples = [examples[i] for i in kept]
    start = time.monotonic()
    for _ in pipeline.trained.train(examples, inference.item_tokens, inference.builder.decoder, validation):
        pass
    log = json.loads((pipeline.trained.llm.adapter / "finetune.json").read_text(encoding="utf-8"))
    given = " ".join(f"--{name}={'' if value is None else value}" for name, value in keys.items())
    return {
        "scores": [round(score, 4) for score in log["validation"]],
        "seconds": round(time.monotonic() - start),
        "prompts": len(examples),
        "command": f"run_recbole_llm.py --model=LLMFashionRec --dataset={dataset} {given}".strip(),
    }


def table(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], datasets: Sequence[str]) -> str:
    """A Markdown table: the best epoch of each setting and dataset, and the keys.

    Args:
        rows: results of `trained` by setting and dataset.
        datasets: the columns.
    """
    head = "".join(f" {name} | epoch | seconds |" for name in datasets)
    lines = [f"| setting |{head} keys |", "|---|" + "---:|" * (3 * len(datasets)) + "---|"]
    for setting, results in rows.items():
        cells = ""
        for name in datasets:
            if name not in results:
                cells += " | | |"
                continue
            scores = results[name]["scores"]
            best = max(range(len(scores)), key=scores.__getitem__)
            cells += f" {scores[best]:.4f} | {best + 1} of {len(scores)} | {results[name]['seconds']} |"
        keys = ", ".join(f"{name}: {'~' if value is None else value}" for name, value in SETTINGS[setting].items())
        lines.append(f"| {setting} |{cells} {keys} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Trains what is missing and writes the table; the last line is the number of rows."""
    description, usage = (__doc__ or "").split("\n", 1)
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, epilog=usage, formatter_class=formatter)
    parser.add_argument("data_path", type=Path)
    parser.add_argument("--datasets", default="amazon_office,hm_week")
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--users", type=int)
    parser.add_argument("--out", type=Path, default=Path("saved/recipe"))
    args = parser.parse_args(argv)
    datasets, chosen = args.datasets.split(","), args.settings.split(",")
    if unknown := set(chosen) - set(SETTINGS):
        sys.exit(f"--settings: {', '.join(sorted(unknown))}: expected some of {', '.join(SETTINGS)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in datasets:
        for setting in chosen:
            file = args.out / f"{name}-{setting}{'' if args.users is None else f'-{args.users}'}.json"
            if not file.is_file():
                result = trained(args.data_path, name, SETTINGS[setting], args.users, args.out)
                part = file.with_suffix(f".{os.getpid()}")
                part.write_text(json.dumps(result, indent=1), encoding="utf-8")
                part.rename(file)
            print(name, setting, json.loads(file.read_text(encoding="utf-8"))["scores"], flush=True)
    rows = read(args.out, args.users)
    (args.out / "table.md").write_text(table(rows, sorted({name for row in rows.values() for name in row})))
    print(f"rows {sum(map(len, rows.values()))}")


def read(out: Path, users: int | None) -> dict[str, dict[str, dict[str, Any]]]:
    """The results in a folder by setting and dataset, in the order of SETTINGS."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    end = "" if users is None else f"-{users}"
    for setting in SETTINGS:
        for file in sorted(out.glob(f"*-{setting}{end}.json")):
            name = file.name.removesuffix(f"-{setting}{end}.json")
            if "-" not in name:
                rows.setdefault(setting, {})[name] = json.loads(file.read_text(encoding="utf-8"))
    return rows


if __name__ == "__main__":
    main()
