"""What a study was asked for: the command line of `recbole-llmfashion study`, checked before anything runs.

A study's own options are few; every other --key=value is a key of properties/ and holds for all of its rows. This
module knows no study's rows.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.command_line import FLAGS, read_value, split_options
from recbole_llmfashion.errors import UserError

USAGE = (
    "usage: recbole-llmfashion study NAME --dataset=D [--models=A,B] [--seeds=3] [--output DIR] "
    "[--config_files='a.yaml b.yaml'] [--key=value ..]"
)
ID_MODELS = ("GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE")
TEXT_MODELS = ("Recformer", "RecformerQuery", "LLMFashionRec")
SIMPLE_BASELINES = ("Popularity", "SeqKNN", "QueryMemory")
MODELS = (*ID_MODELS, *TEXT_MODELS, *SIMPLE_BASELINES)
OWN = "LLMFashionRec"
LABELS = {"RecformerQuery": "Recformer w/ query"}


@dataclass(frozen=True)
class StudyRequest:
    """A study's command line.

    Args:
        study: its name.
        dataset: the one dataset, the source of `zero-shot`.
        models: registry names, in the table's order.
        seeds: how many; the first is the key `seed`, the others follow it.
        output: where its files go.
        options: what only this study takes, as text.
        overrides: keys of properties/ for every row; `use_tuned` is true where it is not given.
    """

    study: str
    dataset: str
    models: tuple[str, ...]
    seeds: int
    output: Path
    config_files: tuple[str, ...]
    options: Mapping[str, str]
    overrides: Mapping[str, Any]
    command: str

    def flag(self, name: str) -> bool:
        """A yes or no of this study's own.

        Raises:
            UserError: neither.
        """
        value = read_value(name, self.options[name])
        if not isinstance(value, bool):
            raise UserError(f"--{name}: expected True or False, found '{value}'")
        return value


def label_of(model: str) -> str:
    """How the paper writes a model's name."""
    return LABELS.get(model, model)


def parse(
    study: str, argv: Sequence[str], options: Mapping[str, str], models: Sequence[str] = MODELS, seeds: int = 3
) -> StudyRequest:
    """A study's words.

    Args:
        options: the study's own options with their defaults; "" where it must be given.
        models, seeds: where --models and --seeds are not given.

    Raises:
        UserError: no dataset, a word that is no option, an option without its value, a number of seeds below 1.
    """
    given = split_options(argv, FLAGS, USAGE)
    dataset = given.pop("dataset", options.get("source", ""))
    if "source" in options:
        dataset = given.get("source", dataset)
    if not dataset:
        raise UserError(f"command line: --{'source' if 'source' in options else 'dataset'} is missing; {USAGE}")
    names = tuple(dict.fromkeys(name.strip() for name in given.pop("models", ",".join(models)).split(",") if name))
    count = read_value("seeds", given.pop("seeds", str(seeds)))
    if not isinstance(count, int) or count < 1:
        raise UserError(f"--seeds: expected a whole number of 1 or more, found '{count}'")
    output = Path(given.pop("output", f"results/{dataset}-{study}"))
    files = tuple(given.pop("config_files", "").split())
    own = {name: given.pop(name, default) for name, default in options.items()}
    for name, value in own.items():
        if not value:
            raise UserError(f"command line: study {study} wants --{name}; {USAGE}")
    overrides = {"use_tuned": True} | {key: read_value(key, text) for key, text in given.items()}
    command = shlex.join(["recbole-llmfashion", "study", study, *argv])
    return StudyRequest(study, dataset, names, count, output, files, own, overrides, command)
