"""What background processes train for the rows of a table, and how many there are."""

import json

import pytest

from recbole_llmfashion.cli.train import main
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import stage_root
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import accepted_models, get_model
from recbole_llmfashion.quick_start.row_tasks import (
    LEAST_LOG,
    Machine,
    RowTask,
    number_of_processes,
    row_tasks,
)
from tests.helpers.fakes import SMALL, simulated_shop

TABLE = ("LLMFashionRec", "CORE", "SeqKNN", "GRU4Rec", "Popularity")
GIB = 2**30


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return simulated_shop(tmp_path_factory.mktemp("tasks"))


def config_of(root, model, saved="saved", **keys):
    fixed = {"data_path": str(root), "checkpoint_dir": str(root / saved), "show_progress": False}
    return load_config(get_model(model).model, "shoes", (), {**fixed, **SMALL, **keys}, accepted_models(*TABLE))


def test_the_id_model_first_then_the_rows_from_the_last(shop):
    tasks = row_tasks([config_of(shop, model) for model in TABLE])
    assert [(task.model, task.id_model) for task in tasks] == [
        ("LLMFashionRec", True),
        ("GRU4Rec", False),
        ("CORE", False),
    ]
    assert [task.model for task in row_tasks([config_of(shop, "CORE"), config_of(shop, "Popularity")])] == []
    assert [task.model for task in row_tasks([config_of(shop, "CORE"), config_of(shop, "LLMFashionRec")])] == [
        "LLMFashionRec"
    ]


def test_zero_shot_needs_no_id_model(shop):
    assert row_tasks([config_of(shop, "LLMFashionRec", source_dataset="shoes")]) == []


@pytest.mark.parametrize(
    ("keys", "size", "cores", "gigabytes", "expected"),
    [
        ({}, LEAST_LOG, 2, 7, 2),
        ({}, LEAST_LOG, 64, 500, 2),
        ({}, LEAST_LOG, 1, 7, 1),
        ({}, LEAST_LOG - 1, 2, 7, 1),
        ({}, LEAST_LOG, 2, 5.9, 1),
        ({}, 2**24, 2, 7, 1),  # 16 MB in tables of two processes: 1.25 GiB more
        ({}, 2**24, 2, 7.5, 2),
        ({"log_tensorboard": "runs"}, LEAST_LOG, 2, 7, 1),
        ({"log_wandb": True}, LEAST_LOG, 2, 7, 1),
        ({"n_jobs": 1}, LEAST_LOG, 2, 7, 1),
        ({"n_jobs": 4}, 0, 1, 1, 4),
    ],
)
def test_number_of_processes(tmp_path, keys, size, cores, gigabytes, expected):
    root = simulated_shop(tmp_path)
    for suffix in ("item", "search"):
        (root / f"shoes/shoes.{suffix}").write_bytes(b"")
    (root / "shoes/shoes.inter").write_bytes(b"\0" * size)
    config = config_of(root, "CORE")
    config.final_config_dict.update(keys)  # log_wandb needs wandb
    assert number_of_processes(config, Machine(cores, int(gigabytes * GIB))) == expected


def test_a_gpu_trains_one_row_at_a_time(shop, tmp_path):
    config = config_of(simulated_shop(tmp_path), "CORE")
    (tmp_path / "shoes/shoes.inter").write_bytes(b"\0" * LEAST_LOG)
    (tmp_path / "shoes/shoes.search").write_bytes(b"")
    machine = Machine(2, 100 * GIB)
    assert number_of_processes(config, machine) == 2
    config.final_config_dict["device"] = type("Device", (), {"type": "cuda"})()
    assert number_of_processes(config, machine) == 1


def test_a_task_makes_the_stages_that_the_row_takes(shop):
    RowTask.of(config_of(shop, "CORE", "ahead"))()
    RowTask.of(config_of(shop, "LLMFashionRec", "ahead"), id_model=True)()
    made = {path.name.rpartition("-")[0] for path in stage_root(config_of(shop, "CORE", "ahead")).glob("*-*")}
    assert made == {"train_CORE", "train_SASRecSampled"}
    ahead, alone = run_experiment(config_of(shop, "CORE", "ahead")), run_experiment(config_of(shop, "CORE"))
    assert ahead.reused == ["train_CORE"] and alone.reused == []
    assert ahead.metrics == alone.metrics and ahead.ranks.equals(alone.ranks)


@pytest.mark.slow
@pytest.mark.parametrize("models", ["LLMFashionRec,CORE", "CORE,LLMFashionRec"])
def test_two_processes_give_the_table_of_one(shop, capfd, models):
    found = []
    for n_jobs in (1, 2):
        keys = {"data_path": shop, "checkpoint_dir": shop / f"{models}{n_jobs}", **SMALL, "n_jobs": n_jobs}
        words = [f"--{key}={value}" for key, value in {**keys, "show_progress": False}.items()]
        out = shop / f"out-{models}{n_jobs}"
        assert main([f"--model={models}", "--dataset=shoes", f"--output={out}", *words]) == 0
        rows = json.loads((out / "results.json").read_text())["models"]
        found.append({name: (row["recall@10"], row["mrr"], row["valid"]) for name, row in rows.items()})
    assert found[0] == found[1]
    assert capfd.readouterr().err.count("2 processes share the rows") == 1
