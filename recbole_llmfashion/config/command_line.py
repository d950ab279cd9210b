"""RecBole's `--key=value` words, parsed as YAML and never evaluated as Python."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recbole_llmfashion.config.yaml_files import RepeatedKeyError, YamlLoader
from recbole_llmfashion.errors import UserError

FLAGS = ("use_tuned",)  # keys that mean True without a value


@dataclass(frozen=True)
class Arguments:
    """What a command that runs models gets.

    Args:
        models: registry names, each once, in the order given.
        dataset: name of the folder below data_path.
        output: folder of the results.
        config_files: YAML files over those of properties/.
        overrides: keys over those.
        command: the command line, for the reports.
    """

    models: list[str]
    dataset: str
    output: Path
    config_files: list[str]
    overrides: dict[str, Any]
    command: str = ""


def split_names(text: str) -> list[str]:
    """The names of a comma-separated list, each once.

    >>> split_names("CORE, SASRec,CORE")
    ['CORE', 'SASRec']
    """
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def split_paths(text: str) -> list[str]:
    """The files of `--config_files`: a path with or without spaces, or several with spaces or commas between.

    Raises:
        UserError: quotes that do not end.

    >>> split_paths("a.yaml 'my file.yaml',b.yaml")
    ['a.yaml', 'my file.yaml', 'b.yaml']
    """
    if Path(text).is_file():
        return [text]
    try:
        words = shlex.split(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        raise UserError(f"--config_files: a quote in {text} does not end; quote each path with a space") from None
    paths = [path for word in words for path in ([word] if Path(word).is_file() else word.split(",")) if path]
    several = all(path.endswith((".yaml", ".yml")) for path in paths) or any(Path(path).is_file() for path in paths)
    return paths if several else [text]  # a path with a space that is not there is named as a whole


def read_keys(words: Sequence[str], hint: str = "") -> dict[str, Any]:
    """Reads `--key=value` and `--key value` words; a key of FLAGS may have no value.

    Args:
        words: of the command line.
        hint: ends the message of an error.

    Raises:
        UserError: a key twice, a key without a value, a word that is no option, a value that is not YAML.

    >>> read_keys(["--topk=[5,10]", "--learning_rate", "1e-4", "--use_tuned"])
    {'topk': [5, 10], 'learning_rate': 0.0001, 'use_tuned': True}
    """
    end = f"; {hint}" if hint else ""
    texts: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UserError(f"command line: expected --key=value, found '{word}'{end}")
        key, equals, value = word[2:].partition("=")
        if not equals and key in FLAGS:
            value = "True"
        elif not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"command line: --{key} needs a value{end}")
            value = rest.pop(0)
        if key in texts:
            raise UserError(f"command line: --{key} is given twice")
        texts[key] = value
    return {key: read_value(key, text) for key, text in texts.items()}


def read_value(key: str, text: str) -> Any:
    """An option's text as YAML, or RecBole's None; raises UserError if it is not YAML.

    >>> read_value("user_inter_num_interval", "[3,inf)"), read_value("topk", "[3,5]")
    ('[3,inf)', [3, 5])
    >>> read_value("train_neg_sample_args", "None") is None
    True
    """
    if text == "None":
        return None
    if key.endswith("_num_interval"):  # RecBole's intervals, such as [3,inf) and (1,5];(7,9], are no YAML
        return text
    try:
        return yaml.load(text, Loader=YamlLoader)
    except RepeatedKeyError as error:
        raise UserError(f"command line: --{key}={text}: {error.problem}; leave one out") from None
    except yaml.YAMLError:
        raise UserError(f"command line: --{key}={text} is not a YAML value; quote it") from None
