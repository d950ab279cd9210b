"""The list of pages, read from YAML: studies times datasets, each with the words of its command.

every: words of every command
models: names that words may use as {name}, lists of rows
datasets: name -> words, and `studies`, the names of its studies (all of them where it is left out)
studies: name -> about, study, words; {dataset} is replaced in all three, {name} by a list of `models`
pairs: further pages, each with name, about, study, dataset, words
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError


@dataclass(frozen=True)
class Page:
    """A page of docs/results.

    Args:
        name: of its folder.
        about: one line for the list of pages.
        study: of `recbole-llmfashion study`.
        dataset: the dataset, or the source of a zero-shot study.
        words: options and keys of the command, without places.
    """

    name: str
    about: str
    study: str
    dataset: str
    words: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """The words behind `recbole-llmfashion`."""
        return ("study", self.study, *self.words)


def read_pages(path: Path) -> list[Page]:
    """The pages of a list, in its order.

    Raises:
        UserError: the file cannot be read, lacks an entry, or names a page twice.
    """
    listed = read_yaml(path)
    try:
        pages = [*_products(listed), *(_pair(one, listed) for one in listed.get("pairs") or ())]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: an entry of the list of pages is missing or misspelled ({error})") from error
    names = [page.name for page in pages]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path}: two pages are named {doubled[0]}; give one of them another name")
    return pages


def _products(listed: Mapping[str, Any]) -> list[Page]:
    pages = []
    for dataset, of_dataset in listed["datasets"].items():
        for name in of_dataset.get("studies") or listed["studies"]:
            study = listed["studies"][name]
            names = _names(listed) | {key: ",".join(value) for key, value in (of_dataset.get("models") or {}).items()}
            words = [f"--dataset={dataset}", *listed["every"], *study.get("words", ()), *of_dataset.get("words", ())]
            about = _filled(study["about"], names | {"dataset": dataset})
            pages.append(Page(f"{dataset}-{name}", about, study["study"], dataset, _all_filled(words, names)))
    return pages


def _pair(one: Mapping[str, Any], listed: Mapping[str, Any]) -> Page:
    words = _all_filled([*listed["every"], *one["words"]], _names(listed))
    return Page(one["name"], one["about"], one["study"], one["dataset"], words)


def _names(listed: Mapping[str, Any]) -> dict[str, str]:
    return {name: ",".join(value) for name, value in (listed.get("models") or {}).items()}


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _all_filled(words: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """A later option replaces an earlier one of its name."""
    found: dict[str, str] = {}
    for word in (_filled(str(word), names) for word in words):
        found[word.partition("=")[0]] = word
    return tuple(found.values())
