"""run_experiment: one model on one dataset, the one body behind the command line and whatever compares or searches.

It builds the rows, trains or loads the stages, evaluates with RecBole's evaluator, and returns a Result. It prints
nothing, and writes stages only.
"""

import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.utils import init_seed

from recbole_llmfashion import compat
from recbole_llmfashion.config.configurator import LLMFashionConfig, given_keys
from recbole_llmfashion.config.keys import RUNTIME_KEYS, first_release_names, without_folders
from recbole_llmfashion.config.layers import tuned_file
from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.data.loaders import Loaders, make_loaders, rows_of, sampler_of, stage_root
from recbole_llmfashion.data.location import check_checkpoint_dir
from recbole_llmfashion.errors import FREE_SPACE, FullDiskError, UserError
from recbole_llmfashion.evaluation.collector import RANK_COLUMNS, RankCollector, full_rank_mrr
from recbole_llmfashion.evaluation.result import Result, masked_line
from recbole_llmfashion.files import write_errors
from recbole_llmfashion.quick_start.dry_run import check_config
from recbole_llmfashion.quick_start.peak_memory import PeakMemory
from recbole_llmfashion.quick_start.registry import ModelSpec, get_model
from recbole_llmfashion.quick_start.run_tracker import check_tracking, tracking
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.tracking import Track, no_track, under
from recbole_llmfashion.trainer.recbole_models import load_id_model, train_or_load
from recbole_llmfashion.trainer.staged import ValidCallback

NO_ROOM = 2**20  # bytes
T = TypeVar("T")


class _Clock:
    """Collects the seconds of each stage, and those of the test rows."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []
        self.test_seconds = 0.0
        self._made: set[str] = set()
        self._not_spent = 0.0

    def add(self, stage: str, seconds: float, reused: bool) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        # a run may use several stages of one name: they count as reused if none had to be made
        if not reused:
            self._made.add(stage)
        else:
            self._not_spent += seconds
        self.reused = [name for name in self.seconds if name not in self._made]

    @contextmanager
    def of_test_rows(self) -> Iterator[None]:
        """Measures the test rows; a reused stage, such as their responses, counts with the time it took once."""
        start, before = perf_counter(), self._not_spent
        yield
        self.test_seconds = perf_counter() - start + self._not_spent - before


def run_experiment(
    config: LLMFashionConfig, *, callback_fn: ValidCallback | None = None, test: bool = True, keep: bool = False
) -> Result:
    """One model on one dataset: train (or load), validate, test.

    Args:
        callback_fn: RecBole's name for a function of (step from 0, validation score of valid_metric); a RecBole model
            calls it at the end of each epoch, LLMFashionRec after each step of `trainer.staged.REPORTED`. An exception
            that it raises ends the run.
        test: False for a search: the test rows are not read, `metrics` and `ranks` of the result are empty. They are
            also empty with `eval_args: {split: {LS: valid_only}}`, which leaves no test rows.
        keep: keep a folder that can be loaded later, and name it as `run` in the details.

    Raises:
        UserError: the user can fix it; any other exception is a failure of the model.
    """
    spec = get_model(config["model"])
    compat.anomaly_mode_off()
    check_config(config, rows=False)
    check_checkpoint_dir(Path(config["checkpoint_dir"]), config["dataset"])
    check_tracking(config)
    clock = _Clock()
    store = StageStore(stage_root(config), clock.add)
    start = perf_counter()
    with PeakMemory() as memory, tracking(config) as track:
        metrics, valid, ranks, details = _run(config, spec, store, callback_fn, test, keep, track, clock)
    clock.seconds["total"] = perf_counter() - start
    per_user = 1000 * clock.test_seconds / len(ranks) if len(ranks) else None
    return Result(metrics, valid, ranks, clock.seconds, clock.reused, memory.megabytes, details, per_user)


def _run(
    config: LLMFashionConfig,
    spec: ModelSpec,
    store: StageStore,
    callback_fn: ValidCallback | None,
    test: bool,
    keep: bool,
    track: Track,
    clock: _Clock,
) -> tuple[dict[str, float], dict[str, float], pd.DataFrame, dict[str, Any]]:
    loaders = make_loaders(config)
    rows = _row_counts(loaders)
    if test and (line := masked_line(rows)):
        getLogger(__name__).warning(line)
    init_seed(config["seed"], config["reproducibility"])
    model = compat.build_model(spec.model, config, rows_of(loaders.train)).to(config["device"])
    trainer = spec.trainer(config, model)
    trainer.track = track
    loaders = _own_loaders(config, spec, loaders)
    trainer.set_data(loaders, store, lambda: _id_model(config, store, track))
    _, valid = trainer.fit(loaders.train, loaders.valid, callback_fn=callback_fn)
    under(track, "best_valid")(0, {name: float(value) for name, value in valid.items()})
    details: dict[str, Any] = dict(trainer.fit_details)
    metrics: dict[str, float] = {}
    ranks = pd.DataFrame(columns=RANK_COLUMNS)
    if test and len(rows_of(loaders.test)):
        trainer.eval_collector.data_collect(loaders.train)
        with clock.of_test_rows():
            metrics, ranks = _test(trainer, config, loaders)
        under(track, "eval")(0, metrics)
        details |= trainer.result_details(loaders)
    details |= {"mask_history": True} if config["mask_history"] else {}
    if keep:
        about = {"seed": config["seed"], "metrics": metrics, "data": _data(config, loaders), "keys": _given(config)}
        run = trainer.save_run(store.root.parent / "runs", about)
        details |= {"run": str(run)} if run is not None else {}
    if config["use_tuned"] and trainer.tuned_as:
        details["tuned"] = tuned_file(config["dataset"], trainer.tuned_as) is not None
    details["rows"] = rows
    return metrics, {name.lower(): float(value) for name, value in valid.items()}, ranks, details


def _row_counts(loaders: Loaders) -> dict[str, Any]:
    return {
        "users_left_out": loaders.dataset.left_out,
        "clicks_filtered": loaders.dataset.clicks_filtered,
        "rows_dropped": loaders.dataset.rows_dropped,
        **({"rows_filtered": loaders.dataset.rows_filtered} if loaders.dataset.rows_filtered else {}),
        "train": len(rows_of(loaders.train)),
        "valid": len(rows_of(loaders.valid)),
        "test": len(rows_of(loaders.test)),
        **({"test_masked": masked} if (masked := loaders.test.masked_targets()) else {}),
    }


def _data(config: LLMFashionConfig, loaders: Loaders) -> dict[str, Any]:
    """What a run folder says of its data: digest, split, and numbers of items and rows."""
    parts = {"train": loaders.train, "valid": loaders.valid, "test": loaders.test}
    return {
        "sha256": folder_sha256(Path(config["data_path"]), config["dataset"]),
        "split_by": config["split_by"],
        "items": len(loaders.dataset.catalogue),
        **{name: len(rows_of(loader)) for name, loader in parts.items()},
    }


def _given(config: LLMFashionConfig) -> dict[str, Any]:
    """The keys given to the run, by their first names, from which its rows can be rebuilt; without folders."""
    given = {key: value for key, value in given_keys(config).items() if key not in RUNTIME_KEYS}
    return without_folders(first_release_names(given))


def _own_loaders(config: LLMFashionConfig, spec: ModelSpec, loaders: Loaders) -> Loaders:
    """The same rows in the model's own dataloader, where it has one."""
    if spec.dataloader is None:
        return loaders
    made = [
        spec.dataloader(config, rows_of(loader), sampler_of(loader), training=loader is loaders.train)
        for loader in (loaders.train, loaders.valid, loaders.test)
    ]
    return Loaders(loaders.dataset, *made)


def _id_model(config: LLMFashionConfig, store: StageStore, track: Track) -> Any:
    """The model of the key `session_model`, from the stage that its row of the same run uses."""
    own = config.sibling(get_model(config["session_model"]).model)
    folder = train_or_load(own, make_loaders(own), store, track=under(track, own["model"]))
    return load_id_model(folder, own)


def train_id_model(config: LLMFashionConfig) -> None:
    """Makes the stage of the ID model that a row with this config uses (key `session_model`)."""
    compat.anomaly_mode_off()
    _id_model(config, StageStore(stage_root(config)), no_track)


def _test(trainer: Any, config: LLMFashionConfig, loaders: Loaders) -> tuple[dict[str, float], pd.DataFrame]:
    assert isinstance(loaders.test, FullSortEvalDataLoader)
    dataset = loaders.dataset
    collector = RankCollector(config, dataset.catalogue.tie_rank)
    collector.data_collect(loaders.train)
    before, trainer.eval_collector = trainer.eval_collector, collector
    result = trainer.evaluate(loaders.test, load_best_model=False, show_progress=config["show_progress"])
    trainer.eval_collector = before
    ranks = collector.take_ranks()
    metrics = {name.lower(): float(value) for name, value in result.items()} | {"mrr": full_rank_mrr(ranks)}
    tokens = ranks.assign(
        user=dataset.id2token(dataset.uid_field, ranks["user"].to_numpy()),
        target=dataset.id2token(dataset.iid_field, ranks["target"].to_numpy()),
        top=list(dataset.id2token(dataset.iid_field, np.stack(ranks["top"].to_list()))) if len(ranks) else [],
    )
    return metrics, tokens


def run_row(config: LLMFashionConfig, run: Callable[[], T]) -> T | str:
    """Runs a row of a table: what `run` returns, or in one line why the model failed.

    The traceback of a failure goes to stderr.

    Args:
        run: calls `run_experiment` for this config.

    Raises:
        FullDiskError: every other row would fail as well.
        UserError: the user can fix it.
    """
    try:
        return run()
    except UserError:
        raise
    except Exception as error:
        if disk_full(error, Path(config["checkpoint_dir"])):
            raise FullDiskError(f"disk full at {config['checkpoint_dir']}: {FREE_SPACE}") from error
        traceback.print_exception(error)
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def disk_full(error: Exception, folder: Path) -> bool:
    """Whether a failure is a full disk; a library may raise an error of its own when a write fails."""
    if write_errors.disk_full(error):
        return True
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free < NO_ROOM
