"""Builds the tiny Falcon that ships with the package, from simulated shops (`recbole-llmfashion pretrain-backbone`).

No evaluation dataset is read: the simulated shops have their own seeds, customers and products, and their brands are
renamed (simulated_shops.py). The tokenizer is trained on texts of the shops and on real queries. loop.py has the
training loop.
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
from recbole_llmfashion.files.changes import replace_files
from recbole_llmfashion.files.folders import temporary_folder
from recbole_llmfashion.llm.modeling.item_embeddings import save_norm
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon, save_tiny_falcon, train_tokenizer
from recbole_llmfashion.llm.pretraining.loop import pretrain
from recbole_llmfashion.llm.pretraining.model_card import card, measure
from recbole_llmfashion.llm.pretraining.settings import PretrainConfig
from recbole_llmfashion.llm.pretraining.simulated_shops import read_shop, rename_brands
from recbole_llmfashion.prompt.dates import coarse_date
from recbole_llmfashion.prompt.response import ID_PREFIX, SEPARATOR
from recbole_llmfashion.prompt.template import TEMPLATES, Template

TEMPLATE_WEIGHT = 4000  # repetitions of the template's words in the tokenizer's texts: about as often as in prompts
DAYS = 365


def make_shops(config: PretrainConfig) -> list[list[Path]]:
    """Simulates the shops that do not exist yet.

    Returns:
        the folders of each category; the first folder of each is for evaluation, the others for training.

    Raises:
        UserError: a simulation failed.
    """
    root = Path(config.shops)
    seeds = range(config.first_seed, config.first_seed + config.shops_per_category + 1)
    folders = [[root / f"{category}-{seed}" for seed in seeds] for category in config.categories]
    missing = [path for paths in folders for path in paths if not path.is_dir()]
    for path in tqdm(missing, desc="simulating shops", unit="shop", disable=not missing):
        category, seed = path.name.rsplit("-", 1)
        options = ["--category", category, "--seed", seed, "--users", str(config.users_per_shop), "--out", str(path)]
        command = [sys.executable, "-c", "from recbole_llmfashion.cli.main import main; main()", "simulate", *options]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode:
            raise UserError(f"{path}: the simulation of the shop failed ({process.stderr.strip()[-200:]})")
    return folders


def typed_queries(folder: Path) -> list[str]:
    """The query texts in a folder: all strings of JSON files, and the `query` column of tab-separated CSV files."""
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


def vocabulary_texts(shops: Sequence[Path], queries: Sequence[str], seed: int) -> Iterator[str]:
    """Training texts of the tokenizer: items and queries of the shops, real queries, and the words of the templates."""
    rng = np.random.default_rng(seed)
    for path in shops:
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
    """Simulates the shops, trains tokenizer and model, and writes the backbone's folder with its model card.

    Returns:
        the folder.
    """
    folders = make_shops(config)
    training = [path for paths in folders for path in paths[1:]]
    queries = typed_queries(Path(config.query_texts))
    tokenizer = train_tokenizer(vocabulary_texts(training, queries, config.seed), config.vocab_size)
    bar = tqdm(training, desc="reading shops", unit="shop")
    shops = [read_shop(path, tokenizer, config.seed + i) for i, path in enumerate(bar)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = new_tiny_falcon(len(tokenizer), config.width, config.layers, config.heads, config.seed).to(device)
    log = pretrain(model, shops, config.training)
    unseen = [read_shop(paths[0], tokenizer, config.seed - 1) for paths in folders]
    figures = [measure(model, shop, log["norm"]) for shop in tqdm(unseen, desc="unseen shops", unit="shop")]
    folder = Path(config.output)
    with temporary_folder(folder, "output") as part:
        save_tiny_falcon(model, tokenizer, part)
        save_norm(log["norm"], part)
        (part / "README.md").write_text(card(vars(config), model, log, figures, len(queries)), encoding="utf-8")
        files = ((path.name, path.read_bytes()) for path in sorted(part.iterdir()))
        replace_files(folder, files, option="output")
    return folder
