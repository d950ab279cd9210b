"""A study's rows: each is one run_experiment, kept as a stage, so that no study runs a row twice and a kill loses one.

Which rows there are, a study says; what a table looks like, assemble.py. A row that fails is an outcome with a reason.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_llmfashion import __version__
from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config
from recbole_llmfashion.config.dict_keys import merge_keys
from recbole_llmfashion.config.keys import RUNTIME_KEYS, first_release_names, keys_of
from recbole_llmfashion.data.atomic.folder import folder_sha256, read_folder
from recbole_llmfashion.data.loaders import Loaders, make_loaders, stage_root
from recbole_llmfashion.data.location import find_dataset
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.result import Result, model_entry
from recbole_llmfashion.quick_start.experiment import run_experiment, run_row
from recbole_llmfashion.quick_start.registry import MODEL_TABLE, accepted_models, get_model, shared_models
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.study.analysis.counts import facts
from recbole_llmfashion.study.request import StudyRequest


@dataclass(frozen=True)
class Entry:
    """A row before it runs.

    Args:
        label: its name in the table.
        model: of the registry.
        keys: overrides over the request's.
        dataset: where it is not the request's.
    """

    label: str
    model: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""


@dataclass
class Outcome:
    """A row that has run with one seed: a result, or the reason why there is none."""

    seed: int
    result: Result | None = None
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """The row's part of results.json."""
        return {"seed": self.seed, **model_entry(self.result or self.reason)}


class Runner:
    """Runs the rows of one request.

    Args:
        request: dataset, seeds, keys.

    Attributes:
        ran: every row so far, by label.
    """

    def __init__(self, request: StudyRequest) -> None:
        self.request = request
        self.ran: dict[str, list[Outcome]] = {}
        self._hashes: dict[str, str] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._loaders: dict[tuple[str, tuple[tuple[str, Any], ...]], Loaders] = {}

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds of every row."""
        first = int(self.config(Entry("", "Popularity"))["seed"])
        return [first + i for i in range(self.request.seeds)]

    def config(self, entry: Entry, seed: int | None = None) -> LLMFashionConfig:
        """The config of a row.

        Raises:
            UserError: unknown model, dataset, key or value.
        """
        layers = [("command line", self.request.overrides), (entry.label, entry.keys)]
        overrides = merge_keys([*layers, ("seeds", {} if seed is None else {"seed": seed})])
        model = get_model(entry.model).model
        names = accepted_models(*self.request.models, *MODEL_TABLE)
        return load_config(
            model, entry.dataset or self.request.dataset, list(self.request.config_files), overrides, names
        )

    def run(self, entries: Sequence[Entry]) -> dict[str, list[Outcome]]:
        """Every entry with every seed, by label; what can be known to be wrong is found before the first one runs."""
        for entry in entries:
            config, spec = self.config(entry), get_model(entry.model)
            find_dataset(Path(config["data_path"]), config["dataset"])
            spec.trainer.validate_config(config)
        outcomes: dict[str, list[Outcome]] = {}
        asked = [(entry, seed) for entry in entries for seed in self.seeds]
        for at, (entry, seed) in enumerate(asked, 1):
            where = entry.dataset or self.request.dataset
            print(f"== {at}/{len(asked)} {entry.label} on {where}, seed {seed}", file=sys.stderr, flush=True)
            outcomes.setdefault(entry.label, []).append(self._row(entry, seed))
        self.ran |= outcomes
        return outcomes

    def _row(self, entry: Entry, seed: int) -> Outcome:
        config = self.config(entry, seed)
        store = StageStore(stage_root(config))
        inputs = self._inputs(config, entry, seed)
        make = partial(store.get, "row", inputs, lambda folder: save_row(folder, run_experiment(config)))
        try:
            folder = run_row(config, make)
        except UserError as error:
            return Outcome(seed, None, " ".join(str(error).split()))
        return Outcome(seed, None, folder) if isinstance(folder, str) else Outcome(seed, load_row(folder))

    def _inputs(self, config: LLMFashionConfig, entry: Entry, seed: int) -> dict[str, Any]:
        """What the figures of a row depend on: the data, the code's version, every key of it and of its siblings."""
        datasets = [name for name in (config["dataset"], config.final_config_dict.get("source_dataset")) if name]
        keys: dict[str, Any] = {}
        for model in sorted({entry.model, *shared_models()}):
            for dataset in datasets:
                keys[f"{model} on {dataset}"] = self._key_values(Entry("", model, entry.keys, dataset), seed)
        data = {name: self.data_sha256(name) for name in datasets}
        return {"model": entry.model, "version": __version__, "data": data, "keys": keys}

    def _key_values(self, entry: Entry, seed: int) -> dict[str, Any]:
        """Every key that can change a figure of a row; rows with the same keys have the same siblings, read once."""
        name = json.dumps([entry.model, dict(entry.keys), entry.dataset, seed], sort_keys=True, default=str)
        if name not in self._values:
            config = self.config(entry, seed)
            known = keys_of(config.model_class) - RUNTIME_KEYS
            # a key that came later: rows that leave it at its default stay the rows that they were
            defaults = {"mask_history": False, "ann_index": "flat"}
            known -= {key for key, value in defaults.items() if config.final_config_dict.get(key) == value}
            values = {key: config.final_config_dict.get(key) for key in sorted(known)}
            self._values[name] = json.loads(json.dumps(first_release_names(values), default=str))
        return self._values[name]

    def folder(self, dataset: str) -> Path:
        """Where a dataset's files lie."""
        config = self.config(Entry("", "Popularity", dataset=dataset))
        return find_dataset(Path(config["data_path"]), dataset)

    def data_sha256(self, dataset: str) -> str:
        """Of a dataset's files, read once."""
        if dataset not in self._hashes:
            self._hashes[dataset] = folder_sha256(self.folder(dataset), dataset)
        return self._hashes[dataset]

    def describe(self, dataset: str) -> dict[str, Any]:
        """What a reader wants to know of a dataset."""
        return facts(read_folder(self.folder(dataset), dataset), self.data_sha256(dataset))

    def loaders(self, dataset: str, **keys: Any) -> Loaders:
        """The rows of a dataset, for what a study asks about them; read once."""
        name = (dataset, tuple(sorted((key, str(value)) for key, value in keys.items())))
        if name not in self._loaders:
            self._loaders[name] = make_loaders(self.config(Entry("", "Popularity", keys, dataset)))
        return self._loaders[name]


def save_row(folder: Path, result: Result) -> None:
    """A result as result.json and ranks.parquet."""
    result.ranks.to_parquet(folder / "ranks.parquet", index=False)
    fields = {name: value for name, value in vars(result).items() if name != "ranks"}
    (folder / "result.json").write_text(json.dumps(fields, indent=1), encoding="utf-8")


def load_row(folder: Path) -> Result:
    """The result that `save_row` wrote."""
    fields = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Result(ranks=pd.read_parquet(folder / "ranks.parquet"), **fields)
