"""Runs the rows of a study. Each row is one `run_experiment` per seed, cached as a stage and shared by all studies.

An interrupted study loses at most the current row. A row that fails becomes an outcome with a reason; a full disk
ends the study.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from recbole_llmfashion import __version__
from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config
from recbole_llmfashion.config.dict_keys import merge_keys, split_name
from recbole_llmfashion.config.keys import RUNTIME_KEYS, first_release_names, keys_of, worker_key
from recbole_llmfashion.config.layers import KEYS_OF_TRAINING
from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.data.images import images_path
from recbole_llmfashion.data.loaders import Loaders, make_loaders, stage_root, target_tokens
from recbole_llmfashion.data.location import find_dataset
from recbole_llmfashion.errors import FullDiskError, UserError
from recbole_llmfashion.evaluation.result import BEYOND, Result, load_result, model_entry, save_result
from recbole_llmfashion.evaluation.row_files import RowFiles
from recbole_llmfashion.files.digests import FileDigests
from recbole_llmfashion.quick_start.background import Task, background
from recbole_llmfashion.quick_start.dry_run import check_config, check_files
from recbole_llmfashion.quick_start.engine import contents_of, engine_digest
from recbole_llmfashion.quick_start.experiment import run_experiment, run_row
from recbole_llmfashion.quick_start.registry import MODEL_TABLE, accepted_models, get_model
from recbole_llmfashion.quick_start.row_tasks import QUIET, background_tasks, number_of_processes, this_machine
from recbole_llmfashion.stage_store import StageStore, without_later
from recbole_llmfashion.study.analysis.counts import facts
from recbole_llmfashion.study.request import StudyRequest

# Keys that the first release named each row after, though no figure of it depends on them.
IMAGE_LIST = "image_list"
_FIRST = {"log_wandb": False, "wandb_project": "recbole", "reg_weight": None}
# Keys of later releases, with the values that the rows of earlier ones were made with.
_LATER = {"torch_compile": False, "cuda_graphs": False, "length_groups": True, "fast_dropout": False}


@dataclass(frozen=True)
class Entry:
    """A row to run.

    Args:
        label: label of the row in the table.
        model: name of the model in the registry.
        keys: keys that override those of the request.
        dataset: name of the dataset; empty for the dataset of the request.
        group: name of the rows that a key of the command line is for; one of them at least has to take it. Empty for
            the model.
    """

    label: str
    model: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""
    group: str = ""


@dataclass(frozen=True)
class RowName:
    """What a row is known by in results.json: its stage, its engine, and what the stage's name is computed from."""

    stage: str
    engine: str
    model: str
    dataset: str
    keys: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The name in JSON."""
        return vars(self) | {"keys": dict(self.keys)}


@dataclass
class Outcome:
    """The outcome of a row with one seed: a result, or the reason why there is none."""

    seed: int
    result: Result | None = None
    reason: str = ""
    name: RowName | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry of the row in results.json."""
        row = {} if self.name is None else {"row": self.name.as_json()}
        return {"seed": self.seed, **row, **model_entry(self.result or self.reason)}


class Runner:
    """Runs the rows of one request.

    Args:
        request: dataset, seeds and keys.

    Attributes:
        ran: outcomes of all rows that have run, by label; after the name of their part in a study of several.
    """

    def __init__(self, request: StudyRequest) -> None:
        self.request = request
        self.ran: dict[str, list[Outcome]] = {}
        self._row_files = RowFiles(request.rows_path)
        self._checked: set[str] = set()  # datasets whose files were read; a study has many parts, each with its check
        self._hashes: dict[str, str] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._loaders: dict[tuple[str, tuple[tuple[str, Any], ...]], Loaders] = {}

    @property
    def failed(self) -> bool:
        """Whether a row that has run has no result."""
        return any(outcome.result is None for outcomes in self.ran.values() for outcome in outcomes)

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds of every row."""
        first = int(self.config(Entry("", "Popularity"))["seed"])
        return [first + i for i in range(self.request.seeds)]

    def config(self, entry: Entry, seed: int | None = None) -> LLMFashionConfig:
        """The config of a row.

        Args:
            entry: the row.
            seed: None for the seed of the request.

        Raises:
            UserError: unknown model or key, or an invalid value.
        """
        layers = [("command line", self.request.overrides), (entry.label, entry.keys)]
        overrides = merge_keys([*layers, ("seeds", {} if seed is None else {"seed": seed})])
        model = get_model(entry.model).model
        names = accepted_models(*self.request.registered, *MODEL_TABLE)
        dataset, files = entry.dataset or self.request.dataset, list(self.request.config_files)
        # Popularity without a label is no row: its config has what all rows share
        left_out = KEYS_OF_TRAINING if (entry.label, entry.model) == ("", "Popularity") else ()
        return load_config(model, dataset, files, overrides, names, left_out=left_out)

    @cached_property
    def metrics(self) -> list[str]:
        """The metrics of every row: those of the key `metrics`, and those of the lists beyond accuracy."""
        given = list(self.config(Entry("", "Popularity"))["metrics"])
        return given + [name for name in BEYOND if name.lower() not in map(str.lower, given)]

    def row_config(self, entry: Entry, seed: int | None = None) -> LLMFashionConfig:
        """The config that a row runs with; see `config`."""
        return self.config(replace(entry, keys={**entry.keys, "metrics": self.metrics}), seed)

    def run(self, entries: Sequence[Entry], part: str = "") -> dict[str, list[Outcome]]:
        """Runs every entry with every seed; all entries are validated before the first one runs.

        Args:
            entries: the rows.
            part: name of the part of the study that they belong to, as rows of two parts may have the same label.

        Returns:
            outcomes by label, one per seed.

        Raises:
            UserError: an entry is invalid, or the disk is full.
        """
        self.check(entries, part)
        outcomes: dict[str, list[Outcome]] = {}
        runs = [(entry, seed) for entry in entries for seed in self.seeds]
        processes = number_of_processes(self.row_config(*runs[0]), this_machine()) if runs else 1
        with background(self._tasks(runs) if processes > 1 else [], processes):
            for number, (entry, seed) in enumerate(runs, 1):
                dataset = entry.dataset or self.request.dataset
                print(f"== {number}/{len(runs)} {entry.label} on {dataset}, seed {seed}", file=sys.stderr, flush=True)
                outcomes.setdefault(entry.label, []).append(self.row(entry, seed))
        self.ran |= {f"{part}: {label}" if part else label: row for label, row in outcomes.items()}
        return outcomes

    def _tasks(self, runs: Sequence[tuple[Entry, int]]) -> list[Task]:
        """What other processes may do: the rows that are not in the store, but for the first of them, last first."""
        missing = [run for run in runs if not self._has_row(*run)]
        later = [StudyRowTask(self.request, *run) for run in missing[1:]]
        return background_tasks(self.row_config(*missing[0]), later) if missing else []

    def _has_row(self, entry: Entry, seed: int) -> bool:
        _, store, inputs = self._stage(entry, seed)
        return store.has("row", inputs) or self._row_files.has(store.path("row", inputs).name)

    def check(self, entries: Sequence[Entry], part: str = "") -> None:
        """Validates every entry, and the files of its dataset.

        Args:
            entries: the rows.
            part: see `run`.

        Raises:
            UserError: an entry is invalid, or a key of the command line reaches no row of a group.
        """
        self.request.refuse_own_keys([entry.keys for entry in entries], part)
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for entry in entries:
            groups.setdefault(entry.group or entry.model, []).append(entry.keys)
        for group, rows in groups.items():
            self.request.refuse_own_keys(rows, f"{group} of {part}" if part else group)
        configs: dict[str, LLMFashionConfig] = {}
        for entry in entries:
            config = self.config(entry)
            find_dataset(Path(config["data_path"]), config["dataset"])
            check_config(config)
            configs[config["dataset"]] = config
        for dataset, config in configs.items():
            if dataset not in self._checked:
                check_files(config)
                self._checked.add(dataset)

    def row(self, entry: Entry, seed: int) -> Outcome:
        """The outcome of one entry with one seed, from the store, from the folder of row files, or made now.

        Raises:
            FullDiskError: see `run_row`.
        """
        config, store, inputs = self._stage(entry, seed)
        name = self._row_name(entry, store.path("row", inputs).name)
        try:
            result = run_row(config, lambda: self._result(config, entry, store, inputs, name))
        except FullDiskError:
            raise
        except UserError as error:
            return Outcome(seed, None, " ".join(str(error).split()), name)
        if isinstance(result, str):
            return Outcome(seed, None, result, name)
        self._row_files.write(name.as_json(), result)
        return Outcome(seed, result, "", name)

    def _result(
        self, config: LLMFashionConfig, entry: Entry, store: StageStore, inputs: Mapping[str, Any], name: RowName
    ) -> Result:
        """The stage of the row, or its file, which makes no stage because it lacks the lists."""
        if self._row_files.has(name.stage) and not store.has("row", inputs):
            of_rows = keys_of(get_model("Popularity").model)
            keys = {key: value for key, value in entry.keys.items() if split_name(key)[0] in of_rows}
            targets = target_tokens(self.loaders(name.dataset, **keys))
            return self._row_files.read(name.stage, targets, config["metric_decimal_place"])
        return load_result(store.get("row", inputs, lambda folder: save_result(folder, run_experiment(config))))

    def _row_name(self, entry: Entry, stage: str) -> RowName:
        return RowName(
            stage, engine_digest(entry.model), entry.model, entry.dataset or self.request.dataset, entry.keys
        )

    def row_stage(self, entry: Entry, seed: int) -> str:
        """The name of the stage of a row; reads the data only for its digest."""
        _, store, inputs = self._stage(entry, seed)
        return store.path("row", inputs).name

    def _stage(self, entry: Entry, seed: int) -> tuple[LLMFashionConfig, StageStore, dict[str, Any]]:
        """The config of a row, the store that keeps it, and what its stage is found by."""
        config = self.row_config(entry, seed)
        store = StageStore(stage_root(config))
        return config, store, self.inputs(config, entry, seed, store.digests)

    def inputs(self, config: LLMFashionConfig, entry: Entry, seed: int, digests: FileDigests) -> dict[str, Any]:
        """The inputs that determine a row: data, engine, and all keys of its model and of the models it uses.

        A key that names a folder or a file counts by its content, and image_list by that of the pictures, if any.
        """
        datasets = [name for name in (config["dataset"], config.final_config_dict.get("source_dataset")) if name]
        keys: dict[str, Any] = {}
        for model in accepted_models(entry.model):
            for dataset in datasets:
                values = self._key_values(Entry("", model, entry.keys, dataset), seed)
                keys[f"{model} on {dataset}"] = values | contents_of(values, digests)
        data = {name: self.data_sha256(name) for name in datasets}
        engine = {"version": __version__, "engine": engine_digest(entry.model)}
        inputs = {"model": entry.model, **engine, "data": data, "keys": keys, "metrics": self.metrics}
        pictures = images_path(Path(config["data_path"]), config["dataset"])
        if config.final_config_dict.get(IMAGE_LIST) and pictures.is_file():
            inputs["images"] = digests.sha256(pictures)
        return inputs

    def _key_values(self, entry: Entry, seed: int) -> dict[str, Any]:
        """All keys that can change a figure of a row; cached, as rows with the same keys share them."""
        name = json.dumps([entry.model, dict(entry.keys), entry.dataset, seed], sort_keys=True, default=str)
        if name not in self._values:
            config = self.config(entry, seed)
            names = keys_of(config.model_class) - RUNTIME_KEYS - {IMAGE_LIST}
            given = {key: config.final_config_dict.get(key) for key in sorted(names)}
            given |= worker_key(config.final_config_dict)
            values = first_release_names(_FIRST | without_later(given, **_LATER))
            self._values[name] = json.loads(json.dumps(values, default=str))
        return self._values[name]

    def folder(self, dataset: str) -> Path:
        """The folder of a dataset."""
        config = self.config(Entry("", "Popularity", dataset=dataset))
        return find_dataset(Path(config["data_path"]), dataset)

    def files(self, dataset: str) -> AtomicFolder:
        """The rows of a dataset."""
        config = self.config(Entry("", "Popularity", dataset=dataset))
        return read_folder(self.folder(dataset), dataset, names=FieldNames.of(config))

    def data_sha256(self, dataset: str) -> str:
        """Hash of the files of a dataset; cached."""
        if dataset not in self._hashes:
            self._hashes[dataset] = folder_sha256(self.folder(dataset), dataset)
        return self._hashes[dataset]

    def describe(self, dataset: str) -> dict[str, Any]:
        """Hash and counts of a dataset, for the report."""
        return facts(self.files(dataset), self.data_sha256(dataset))

    def loaders(self, dataset: str, **keys: Any) -> Loaders:
        """The loaders of a dataset; cached.

        Args:
            dataset: name of the dataset.
            keys: keys that override those of the request.
        """
        name = (dataset, tuple(sorted((key, str(value)) for key, value in keys.items())))
        if name not in self._loaders:
            self._loaders[name] = make_loaders(self.config(Entry("", "Popularity", keys, dataset)))
        return self._loaders[name]


@dataclass(frozen=True)
class StudyRowTask:
    """Makes a row of a study in a process of its own."""

    request: StudyRequest
    entry: Entry
    seed: int

    def __call__(self) -> None:
        """Makes the stage of the row."""
        overrides = {**self.request.overrides, **QUIET}
        Runner(replace(self.request, overrides=overrides)).row(self.entry, self.seed)
