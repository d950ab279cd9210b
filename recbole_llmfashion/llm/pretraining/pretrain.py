"""Builds the tiny Falcon that ships with the package, from simulated shops (`recbole-llmfashion pretrain-backbone`).

No dataset is read: the shops have their own seeds, customers and products, their brands are renamed
(simulated_shops.py), and the tokenizer is trained on their texts and on queries that people typed. loop.py trains.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.item_embeddings import save_norm
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon, save_tiny_falcon, train_tokenizer
from recbole_llmfashion.llm.pretraining.loop import pretrain
from recbole_llmfashion.llm.pretraining.model_card import card, measure
from recbole_llmfashion.llm.pretraining.settings import PretrainConfig
from recbole_llmfashion.llm.pretraining.simulated_shops import read_shop, rename_brands
from recbole_llmfashion.prompt.dates import coarse_date
from recbole_llmfashion.prompt.response import ID_PREFIX, SEPARATOR
from recbole_llmfashion.prompt.template import TEMPLATES, Template

TEMPLATE_WEIGHT = 4000  # how often the tokenizer reads the template's words: about as often as prompts repeat them
DAYS = 365


def make_shops(config: PretrainConfig) -> list[list[Path]]:
    """Folders of worlds by category, the first of each the one that only measures; the missing ones are simulated.

    Raises:
        UserError: a simulation failed.
    """
    root = Path(config.worlds)
    seeds = range(config.first_seed, config.first_seed + config.worlds_per_category + 1)
    found = [[root / f"{category}-{seed}" for seed in seeds] for category in config.categories]
    missing = [path for paths in found for path in paths if not path.is_dir()]
    for path in tqdm(missing, desc="simulating worlds", unit="world", disable=not missing):
        category, seed = path.name.rsplit("-", 1)
        options = ["--category", category, "--seed", seed, "--users", str(config.world_users), "--out", str(path)]
        command = [sys.executable, "-c", "from recbole_llmfashion.cli.main import main; main()", "simulate", *options]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"{path}: the world could not be simulated ({done.stderr.strip()[-200:]})")
    return found


def typed_queries(folder: Path) -> list[str]:
    """Query texts of a folder: all strings of its JSON files, the `query` column of its tab-separated CSV files."""
    texts: list[str] = []
    for file in sorted(folder.glob("*")) if folder.is_dir() else []:
        if file.suffix == ".json":
            texts.extend(_strings(json.loads(file.read_text(encoding="utf-8"))))
        elif file.suffix == ".csv":
            rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
            column = rows[0].index("query") if rows and "query" in rows[0] else None
            texts.extend(row[column] for row in rows[1:] if column is not None and len(row) > column)
    return texts


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _template_words(template: Template) -> str:
    return "".join(value for value in vars(template).values()) + ID_PREFIX + SEPARATOR


def vocabulary_texts(worlds: Sequence[Path], queries: Sequence[str], seed: int) -> Iterator[str]:
    """What the tokenizer is learned from: the worlds' items and queries, what people typed, and the prompts' words."""
    rng = np.random.default_rng(seed)
    for path in worlds:
        folder = rename_brands(read_folder(path), rng)
        items = folder.items
        for title, *attributes in items[["title", *TEXT_ATTRIBUTES]].itertuples(index=False):
            yield f" {title}"
            yield " ".join(["", title, *attributes]).lower()
        yield from (f" {query}" for query in folder.searches["query"])
    yield from (f" {query}" for query in queries)
    words = [_template_words(template) for template in TEMPLATES.values()]
    dates = [Template.date(coarse_date(day)) for day in range(DAYS)]
    for turn in range(TEMPLATE_WEIGHT):
        yield words[turn % len(words)]
        yield dates[turn % len(dates)]


def build(config: PretrainConfig) -> Path:
    """Makes worlds, tokenizer and model, and writes the backbone's folder with its card.

    Returns:
        the folder.
    """
    found = make_shops(config)
    training = [path for paths in found for path in paths[1:]]
    queries = typed_queries(Path(config.query_texts))
    tokenizer = train_tokenizer(vocabulary_texts(training, queries, config.seed), config.vocab_size)
    bar = tqdm(training, desc="reading worlds", unit="world")
    worlds = [read_shop(path, tokenizer, config.seed + i) for i, path in enumerate(bar)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = new_tiny_falcon(len(tokenizer), config.width, config.layers, config.heads, config.seed).to(device)
    log = pretrain(model, worlds, config.training)
    unseen = [read_shop(paths[0], tokenizer, config.seed - 1) for paths in found]
    figures = [measure(model, world, log["norm"]) for world in tqdm(unseen, desc="unseen worlds", unit="world")]
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    save_tiny_falcon(model, tokenizer, folder)
    save_norm(log["norm"], folder)
    (folder / "README.md").write_text(card(vars(config), model, log, figures, len(queries)), encoding="utf-8")
    return folder
