"""RecBole's `--key=value` command lines: parsed as YAML, never evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recbole_llmfashion.config.yaml_files import YamlLoader
from recbole_llmfashion.errors import UserError

FLAGS = ("use_tuned",)  # keys that stand for themselves


OUTPUT = "results/{dataset}"


USAGE = (
    "usage: run_recbole_llm.py --model=LLMFashionRec,CORE --dataset=footwear [--use_tuned] [--output DIR] "
    "[--config_files='a.yaml b.yaml'] [--key=value ..]"
)


@dataclass(frozen=True)
class Arguments:
    """A parsed command line."""

    models: list[str]
    dataset: str
    output: Path
    config_files: list[str]
    overrides: dict[str, Any]


def parse(argv: Sequence[str], flags: Sequence[str] = FLAGS, usage: str = USAGE, output: str = OUTPUT) -> Arguments:
    """`--key=value` or `--key value`; a value is read as YAML, never evaluated.

    Args:
        flags: keys that may stand for themselves, without a value.
        usage: ends the line about a mistake.
        output: where --output is not given; {dataset} and {model} stand for theirs.

    Raises:
        UserError: no model, no dataset, a key twice, a word that is no option.
    """
    given = split_options(argv, flags, usage)
    for key in ("model", "dataset"):
        if not given.get(key):
            raise UserError(f"command line: --{key} is missing; {usage}")
    models = list(dict.fromkeys(name.strip() for name in given.pop("model").split(",") if name.strip()))
    dataset = given.pop("dataset")
    folder = Path(given.pop("output", output.format(dataset=dataset, model="-".join(models))))
    files = given.pop("config_files", "").split()
    return Arguments(models, dataset, folder, files, {key: read_value(key, text) for key, text in given.items()})


def split_options(argv: Sequence[str], flags: Sequence[str], usage: str) -> dict[str, str]:
    """`--key=value`, `--key value`, and `--flag` as True, as text by key.

    Raises:
        UserError: a key twice, a key without a value, a word that is no option.
    """
    given: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UserError(f"command line: '{word}' is no option; {usage}")
        key, equals, value = word[2:].partition("=")
        if not equals and key in flags:
            value = "True"
        elif not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"command line: --{key} wants a value; {usage}")
            value = words.pop(0)
        if key in given:
            raise UserError(f"command line: --{key} stands there twice")
        given[key] = value
    return given


def read_value(key: str, text: str) -> Any:
    """An option's text as YAML has it; what is no YAML is a UserError."""
    try:
        return yaml.load(text, Loader=YamlLoader)
    except yaml.YAMLError:
        raise UserError(f"command line: --{key}={text} is not readable as a YAML value; quote it") from None
