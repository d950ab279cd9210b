"""The request of a study: dataset, models, seeds, the study's own options, and keys of properties/."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.allowed import shown
from recbole_llmfashion.config.command_line import read_value, split_names
from recbole_llmfashion.config.dict_keys import flat
from recbole_llmfashion.errors import UserError

ID_MODELS = ("GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE")
TEXT_MODELS = ("Recformer", "RecformerQuery", "LLMFashionRec")
TITLE_MODELS = ("TextSASRec", "TextKNN")  # read the titles by a frozen encoder, and no LLM
SIMPLE_BASELINES = ("Popularity", "SeqKNN", "QueryMemory")
WITHOUT_LLM = "Fusion"  # the lists of LLMFashionRec that need no LLM
MODELS = (*ID_MODELS, *TEXT_MODELS, *TITLE_MODELS, WITHOUT_LLM, *SIMPLE_BASELINES)
OWN = "LLMFashionRec"
FORMS = ("paper", "shipped")  # of an ablation
# Rows that are another form of LLMFashionRec; study.forms has their keys.
PAPER_FORM, UNTRAINED_FORM = "LLMFashionRec-paper", "LLMFashionRec-untrained"
LABELS = {
    "RecformerQuery": "Recformer w/ query",
    PAPER_FORM: "LLMFashionRec, the paper's form",
    UNTRAINED_FORM: "LLMFashionRec, untrained backbone",
}
FORM_LABELS = (LABELS[PAPER_FORM], LABELS[UNTRAINED_FORM])


@dataclass(frozen=True)
class StudyRequest:
    """A request to run a study.

    Args:
        study: its name.
        dataset: the dataset; the source of `zero-shot`.
        models: registry names and forms of LLMFashionRec, in the order of the table.
        seeds: number of seeds; the first is the key `seed`, the others follow it.
        output: folder of the report.
        config_files: YAML files of keys for every row.
        options: the study's own options, as text.
        overrides: keys of properties/ for every row.
        command: the command line, for the report.
        rows_path: folder of rows that are read instead of made, and to which the others are written; None for none.
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
    rows_path: Path | None = None

    @property
    def registered(self) -> tuple[str, ...]:
        """The registry names of the models."""
        return tuple(dict.fromkeys(registry_name(model) for model in self.models))

    @property
    def targets(self) -> list[str]:
        """The datasets of `--targets`; empty where a study that needs none has `none`.

        Raises:
            UserError: the source is among them.
        """
        names = split_names(self.options.get("targets", "none"))
        if self.dataset in names:
            raise UserError(f"--targets: {self.dataset} is the source; choose other datasets")
        return [] if names == ["none"] and "source" not in self.options else names

    def flag(self, name: str) -> bool:
        """A boolean option of the study.

        Raises:
            UserError: the value is neither True nor False.
        """
        value = read_value(name, self.options[name])
        if not isinstance(value, bool):
            raise UserError(f"--{name}: expected True or False, found '{value}'")
        return value

    def refuse_own_keys(self, rows: Sequence[Mapping[str, Any]], whose: str = "") -> None:
        """Checks that no key of the command line is lost, because every row has another value of its own.

        Args:
            rows: the keys of each row's own.
            whose: the rows of the study that these are, for the message; empty for all.

        Raises:
            UserError: one is.
        """
        own = [flat(row) for row in rows]
        for key, value in flat(self.overrides).items():
            found = [row[key] for row in own if key in row]
            if found and len(found) == len(own) and any(one != value for one in found):
                values = ", ".join(dict.fromkeys(map(shown, found)))
                study = f"{whose} in study {self.study}" if whose else f"study {self.study}"
                raise UserError(
                    f"command line: {key}: found {shown(value)}, but the rows of {study} have {values}; leave it out"
                )


def label_of(model: str) -> str:
    """A model's name in the paper."""
    return LABELS.get(model, model)


def registry_name(model: str) -> str:
    """The model behind the name of a row.

    >>> registry_name("LLMFashionRec-paper"), registry_name("CORE")
    ('LLMFashionRec', 'CORE')
    """
    return OWN if model in (PAPER_FORM, UNTRAINED_FORM) else model
