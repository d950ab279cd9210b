"""Pre-trains a backbone (`recbole-llmfashion pretrain-backbone`): tiny-falcon, or one that goes on from another.

The simulated shops have their own seeds, customers and products, and their brands are renamed (simulated_shops.py). Of
real datasets the training rows alone are read (real_shops.py). A new tokenizer is trained on texts of the shops and on
real queries. loop.py has the training loop.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from recbole_llmfashion.data.atomic.folder import item_columns, read_folder
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.changes import replace_files
from recbole_llmfashion.files.folders import temporary_folder
from recbole_llmfashion.llm.modeling.backbone import check_files, load_backbone
from recbole_llmfashion.llm.modeling.item_embeddings import row_norm, save_norm
from recbole_llmfashion.llm.modeling.seen import SEEN_FILE, SeenDataset, read_seen, save_seen
from recbole_llmfashion.llm.modeling.tiny_falcon import (
    TINY_FALCON_FOLDER,
    new_tiny_falcon,
    save_tiny_falcon,
    train_tokenizer,
)
from recbole_llmfashion.llm.pretraining.loop import INITIAL_NORM, pretrain
from recbole_llmfashion.llm.pretraining.model_card import card, measure
from recbole_llmfashion.llm.pretraining.real_shops import read_real_shop, training_part
from recbole_llmfashion.llm.pretraining.settings import PretrainConfig
from recbole_llmfashion.llm.pretraining.simulated_shops import read_shop, rename_brands
from recbole_llmfashion.prompt.dates import coarse_date
from recbole_llmfashion.prompt.response import ID_PREFIX, SEPARATOR
from recbole_llmfashion.prompt.template import TEMPLATES, Template

TEMPLATE_WEIGHT = 4000  # repetitions of the template's words in the tokenizer's texts: about as often as in prompts
DAYS = 365


def make_shops(config: PretrainConfig) -> list[list[Path]]:
    """Simulates the shops that do not exist yet, and checks that the others have `users_per_shop` customers.

    Returns:
        the folders of each category; the first folder of each is for evaluation, the others for training.

    Raises:
        UserError: a simulation failed, or a shop that exists has another number of customers.
    """
    root = Path(config.shops)
    seeds = range(config.first_seed, config.first_seed + config.shops_per_category + 1)
    folders = [[root / f"{category}-{seed}" for seed in seeds] for category in config.categories]
    for path in (path for paths in folders for path in paths if path.is_dir()):
        users = read_folder(path, path.name).interactions["user_id"].nunique()
        if users != config.users_per_shop:
            raise UserError(
                f"{path}: expected users_per_shop {config.users_per_shop:,}, found {users:,} customers; "
                "remove the shop, or name another folder in `shops`"
            )
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


def vocabulary_texts(
    shops: Sequence[Path], queries: Sequence[str], seed: int, datasets: Sequence[Path] = ()
) -> Iterator[str]:
    """Training texts of the tokenizer.

    Args:
        shops: simulated ones, whose items and queries are read.
        queries: real ones.
        seed: random seed of the shops' brand names.
        datasets: real ones, of which items and the queries of training rows are read.
    """
    rng = np.random.default_rng(seed)
    renamed = (rename_brands(read_folder(path), rng) for path in shops)
    for folder in chain(renamed, (training_part(read_folder(path)) for path in datasets)):
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


@dataclass(frozen=True)
class _Start:
    """What a pre-training begins with.

    Args:
        model, tokenizer: of the backbone.
        norm: of its item embeddings.
        seen: what it has seen already.
        queries: number of query texts that its tokenizer was trained on here.
    """

    model: Any
    tokenizer: Any
    norm: float
    seen: list[SeenDataset]
    queries: int = 0


def _new(config: PretrainConfig, training: Sequence[Path], device: str) -> _Start:
    """New weights, and a tokenizer of the texts of all shops."""
    queries = typed_queries(Path(config.query_texts))
    texts = vocabulary_texts(training, queries, config.seed, [Path(path) for path in config.real_datasets])
    tokenizer = train_tokenizer(texts, config.vocab_size)
    model = new_tiny_falcon(len(tokenizer), config.width, config.layers, config.heads, config.seed).to(device)
    return _Start(model, tokenizer, INITIAL_NORM, [], len(queries))


def _continued(source: str, device: str) -> _Start:
    """A backbone to go on from.

    Raises:
        UserError: it cannot be loaded, or is not built like tiny-falcon.
    """
    backbone = load_backbone(source, "none", "fp32", device)
    model, weight = backbone.model, backbone.model.get_input_embeddings().weight
    head = model.get_output_embeddings()
    if head is None or head.weight is not weight or len(weight) != len(backbone.tokenizer):
        raise UserError(
            f"backbone: {source} has a head of its own, or rows that are no tokens of its tokenizer; name tiny-falcon "
            "or a folder that pretrain-backbone wrote"
        )
    return _Start(model, backbone.tokenizer, row_norm(source, weight), read_seen(source))


def check_inputs(config: PretrainConfig) -> str | None:
    """Checks the backbone and the real datasets before anything is simulated.

    Returns:
        folder of the backbone to go on from; None for new weights.

    Raises:
        UserError: one of them is not there.
    """
    for path in map(Path, config.real_datasets):
        item_columns(path, path.resolve().name)
    if config.backbone is None:
        return None
    source = str(TINY_FALCON_FOLDER) if config.backbone == "tiny-falcon" else config.backbone
    if not Path(source).is_dir():
        raise UserError(f"backbone: '{source}' is not a folder; name tiny-falcon or a folder, or leave it empty")
    check_files(source)
    return source


def build(config: PretrainConfig) -> Path:
    """Simulates the shops, makes or loads tokenizer and model, trains, and writes the folder with its model card.

    Returns:
        the folder.

    Raises:
        UserError: a dataset or the backbone has an error.
    """
    source = check_inputs(config)
    folders = make_shops(config)
    training = [path for paths in folders for path in paths[1:]]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    start = _new(config, training, device) if source is None else _continued(source, device)
    bar = tqdm(training, desc="reading shops", unit="shop", disable=not training)
    shops = [read_shop(path, start.tokenizer, config.seed + i) for i, path in enumerate(bar)]
    seen = {dataset.data_sha256: dataset for dataset in start.seen}
    for path in tqdm(config.real_datasets, desc="reading datasets", unit="set", disable=not config.real_datasets):
        shop, dataset = read_real_shop(Path(path), start.tokenizer, config.real_passes)
        shops.append(shop)
        seen[dataset.data_sha256] = dataset
    log = pretrain(start.model, shops, config.training, norm=start.norm)
    unseen = [read_shop(paths[0], start.tokenizer, config.seed - 1) for paths in folders]
    measured = tqdm(unseen, desc="unseen shops", unit="shop", disable=not unseen)
    figures = [measure(start.model, shop, log["norm"]) for shop in measured]
    text = card(config, start.model, log, figures, start.queries, list(seen.values()))
    write_backbone(Path(config.output), start.model, start.tokenizer, log["norm"], list(seen.values()), text)
    return Path(config.output)


def write_backbone(
    folder: Path, model: Any, tokenizer: Any, norm: float, seen: Sequence[SeenDataset], text: str
) -> None:
    """Writes a backbone's folder as one change: config, safetensors, tokenizer, norm, seen.json and model card."""
    with temporary_folder(folder, "output") as part:
        save_tiny_falcon(model, tokenizer, part)
        save_norm(norm, part)
        if seen:
            save_seen(seen, part)
        (part / "README.md").write_text(text, encoding="utf-8")
        files = ((path.name, path.read_bytes()) for path in sorted(part.iterdir()))
        replace_files(folder, files, [] if seen else [SEEN_FILE], option="output")
