"""Results with their literal values, on the shop of three users and six items."""

import errno
import json
from pathlib import Path

import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data import eval_loader
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.result import masked_notes
from recbole_llmfashion.quick_start import experiment
from recbole_llmfashion.quick_start.experiment import disk_full, run_experiment, run_row
from recbole_llmfashion.quick_start.registry import get_model
from tests.helpers.fakes import INTER, write_tiny

ROWS = {
    "users_left_out": {"fewer than two item actions after the click filter": 0},
    "clicks_filtered": 0,
    "rows_dropped": 1,  # u1's click between its last two purchases
    "train": 3,
    "valid": 2,
    "test": 3,
}


def config_of(root, model, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    fixed = {**folders, "topk": [3], "valid_metric": "NDCG@3", "epochs": 2, "show_progress": False}
    if model == "Popularity":
        del fixed["epochs"]
    return load_config(get_model(model).model, "tiny", (), {**fixed, **keys})


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("experiment")
    write_tiny(root)
    return root


@pytest.fixture(scope="module")
def gru(shop):
    """The first run of GRU4Rec, and what its callback got."""
    scores = []
    return run_experiment(config_of(shop, "GRU4Rec"), callback_fn=lambda *score: scores.append(score)), scores


def ranks_of(result):
    return [(row.user, row.target, row.rank, list(row.top)) for row in result.ranks.itertuples(index=False)]


def test_result_of_popularity(shop):
    result = run_experiment(config_of(shop, "Popularity"))
    # training actions: 11 twice; 12, 16 and 13 once, in the fixed order
    assert ranks_of(result) == [
        ("u1", "16", 3, ["11", "12", "16"]),
        ("u2", "13", 4, ["11", "12", "16"]),
        ("u3", "14", 5, ["11", "12", "16"]),
    ]
    assert result.metrics == {
        "recall@3": 0.333333,
        "ndcg@3": 0.166667,
        "mrr@3": 0.111111,
        "mrr": pytest.approx((1 / 3 + 1 / 4 + 1 / 5) / 3, abs=1e-15),
    }
    assert result.valid == {"recall@3": 0.5, "ndcg@3": 0.315465, "mrr@3": 0.25}
    assert result.details == {"rows": ROWS}
    assert list(result.seconds) == ["total"] and result.reused == [] and result.peak_memory_mb > 50
    assert trained(shop, "Popularity") == []


def trained(shop, model):
    return list((shop / "saved/tiny/stages").glob(f"train_{model}-*"))


def test_result_of_gru4rec(gru, shop):
    result, scores = gru
    assert ranks_of(result) == [
        ("u1", "16", 6, ["13", "12", "15"]),
        ("u2", "13", 1, ["13", "12", "15"]),
        ("u3", "14", 5, ["13", "12", "15"]),
    ]
    assert result.metrics == {
        "recall@3": 0.333333,
        "ndcg@3": 0.333333,
        "mrr@3": 0.333333,
        "mrr": pytest.approx((1 / 6 + 1 + 1 / 5) / 3, abs=1e-15),
    }
    assert result.valid == {"recall@3": 0.5, "ndcg@3": 0.315465, "mrr@3": 0.25}
    assert result.details == {"epochs": 2, "epochs_allowed": 2, "rows": ROWS}
    assert list(result.seconds) == ["train_GRU4Rec", "total"] and result.reused == []
    assert 0 < result.seconds["train_GRU4Rec"] < result.seconds["total"]
    assert scores == [(0, 0.315465), (1, 0.315465)]
    assert trained(shop, "GRU4Rec") != []


def test_a_second_run_loads_the_stage(shop, gru):
    scores = []
    again = run_experiment(config_of(shop, "GRU4Rec"), callback_fn=lambda *score: scores.append(score))
    assert again.reused == ["train_GRU4Rec"] and again.seconds["train_GRU4Rec"] == gru[0].seconds["train_GRU4Rec"]
    assert (again.metrics, again.valid, again.details) == (gru[0].metrics, gru[0].valid, gru[0].details)
    assert ranks_of(again) == ranks_of(gru[0]) and scores == gru[1]


def test_the_time_of_the_test_rows_has_that_of_their_reused_stages(monkeypatch):
    """A search of stages that took 3 seconds, and responses that were made once, in 5: 8 of the test rows."""
    now = iter((100.0, 103.0))
    monkeypatch.setattr(experiment, "perf_counter", lambda: next(now))
    clock = experiment._Clock()
    clock.add("adapter", 60.0, True)
    with clock.of_test_rows():
        clock.add("responses", 5.0, True)
        clock.add("index", 2.0, False)  # made now: part of the 3 seconds
    assert clock.test_seconds == 8.0


def test_without_test_rows(shop, gru):
    result = run_experiment(config_of(shop, "GRU4Rec"), test=False)
    assert result.metrics == {} and result.valid == gru[0].valid
    assert result.ms_per_user is None and gru[0].ms_per_user > 0
    assert list(result.ranks.columns) == ["user", "target", "rank", "top"] and len(result.ranks) == 0


@pytest.mark.parametrize(("part", "counts"), [("valid_only", (6, 3, 0)), ("test_only", (6, 0, 3))])
def test_one_part_of_the_split_alone(shop, gru, part, counts):
    """RecBole's valid_only and test_only: the other rows are all training rows."""
    result = run_experiment(config_of(shop, "GRU4Rec", eval_args={"split": {"LS": part}}))
    rows = result.details["rows"]
    assert (rows["train"], rows["valid"], rows["test"], rows["rows_dropped"]) == (*counts, 0)
    assert (result.metrics == {}) is (part == "valid_only") and (result.valid == {}) is (part == "test_only")
    assert len(result.ranks) == counts[2] and result.details["epochs"] == 2
    popularity = run_experiment(config_of(shop, "Popularity", eval_args={"split": {"LS": part}}))
    # training actions: 12 three times, 11 and 13 twice, ..: more than with a validation row
    assert max(popularity.metrics or popularity.valid) == max(result.metrics or result.valid)


def test_metrics_of_heads_and_of_the_training_data(shop):
    metrics = ["Recall", "ItemCoverage", "GiniIndex", "AveragePopularity", "TailPercentage", "ShannonEntropy", "GAUC"]
    for model in ("Popularity", "GRU4Rec"):
        keys = {"metrics": metrics, "valid_metric": "ItemCoverage@3"}
        result = run_experiment(config_of(shop, model, **keys))
        names = {"gauc", "mrr", *(f"{name.lower()}@3" for name in metrics[:-1])}
        assert result.metrics.keys() == names and result.valid.keys() == names - {"mrr"}
        # by hand: every row's list holds the same three items, of seven for RecBole, which counts the pad;
        # the mean of (6 - rank) / 5 over three rows
        assert result.metrics["itemcoverage@3"] == 0.428571
        ranks = result.ranks["rank"]
        assert result.metrics["gauc"] == pytest.approx(float(((6 - ranks) / 5).mean()), abs=1e-6)


def test_a_kept_run_is_named_in_the_details(shop, gru):
    kept = Path(run_experiment(config_of(shop, "GRU4Rec"), keep=True).details["run"])
    assert {path.name for path in kept.iterdir()} == {"model.safetensors", "fit.json", "stage.json"}
    assert kept.parent == shop / "saved/tiny/stages" and json.loads((kept / "fit.json").read_text())["epochs"] == 2
    assert "run" not in run_experiment(config_of(shop, "Popularity"), keep=True).details


def test_details_of_keys(shop, gru):
    details = run_experiment(config_of(shop, "GRU4Rec", use_tuned=True)).details
    assert details == {"epochs": 2, "epochs_allowed": 2, "tuned": False, "rows": ROWS}
    masked = run_experiment(config_of(shop, "Popularity", mask_history=True))
    assert masked.details == {"mask_history": True, "rows": ROWS}
    assert masked.ranks["rank"].tolist() == [1, 3, 2]  # u1 knows all other items, u2 12, u3 11, 12 and 16


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_masked_targets_are_said_before_training(tmp_path, caplog, monkeypatch):
    """u2 and u3 click before they buy; the target of u1 is new."""
    bought = {
        "u2\t13\tpurchase\t1701000060": "u2\t13\tclick\t1701000050",
        "u3\t14\tpurchase\t1701000003": "u3\t14\tclick\t1701000002",
    }
    inter = INTER
    for purchase, click in bought.items():
        inter = inter.replace(purchase, f"{click}\n{purchase}")
    write_tiny(tmp_path, inter=inter)
    keys = {"click_filter": "none"}
    kept = run_experiment(config_of(tmp_path, "Popularity", mask_history=False, **keys))
    assert "test_masked" not in kept.details["rows"] and not warnings_of(caplog)
    monkeypatch.setattr(eval_loader, "ROWS_AT_ONCE", 2)  # of three rows
    masked = run_experiment(config_of(tmp_path, "Popularity", mask_history=True, **keys))
    assert masked.details["rows"]["test_masked"] == 2 and masked.details["rows"]["test"] == 3
    line = (
        "2 of 3 test targets are in the user's own history, which mask_history leaves out of the ranking: they cannot "
        "be found"
    )
    assert warnings_of(caplog) == [line]
    assert masked_notes([kept, masked, masked]) == [f"{line}."]


def test_clicks_of_items_that_are_bought_are_counted(tmp_path):
    write_tiny(tmp_path, INTER + "u4\t12\tclick\t1701000000\nu4\t12\tpurchase\t1701000001\n")
    rows = run_experiment(config_of(tmp_path, "Popularity")).details["rows"]
    assert rows == ROWS | {
        "clicks_filtered": 1, "users_left_out": {"fewer than two item actions after the click filter": 1},
    }  # fmt: skip


def test_a_callback_that_raises_ends_the_run_without_a_stage(tmp_path):
    write_tiny(tmp_path)

    def stop(step, score):
        raise RuntimeError(f"stopped at {step}")

    with pytest.raises(RuntimeError, match="stopped at 0"):
        run_experiment(config_of(tmp_path, "GRU4Rec"), callback_fn=stop)
    assert not list((tmp_path / "saved/tiny/stages").glob("train_*"))


def test_a_metric_that_is_not_computed(shop):
    with pytest.raises(UserError, match="valid_metric: 'NDCG@10' is not computed"):
        run_experiment(config_of(shop, "Popularity", valid_metric="NDCG@10"))


def fails_with(error):
    def run():
        raise error

    return run


def test_a_row_is_its_result_or_one_line(shop, capsys):
    config = config_of(shop, "Popularity")
    assert run_row(config, lambda: 7) == 7
    assert run_row(config, fails_with(ValueError("bad\n  shape"))) == "ValueError: bad shape"
    assert "in run\n" in capsys.readouterr().err  # the traceback
    assert run_row(config, fails_with(ValueError("x" * 400))) == "ValueError: " + "x" * 300
    with pytest.raises(UserError, match="a wrong key"):
        run_row(config, fails_with(UserError("a wrong key")))


def test_a_full_disk_ends_the_table(shop, monkeypatch):
    config = config_of(shop, "Popularity")
    with pytest.raises(UserError, match=f"^disk full at {shop / 'saved'}: ") as error:
        run_row(config, fails_with(OSError(errno.ENOSPC, "No space left on device")))
    assert "\n" not in str(error.value)
    assert run_row(config, fails_with(OSError(errno.EIO, "broken"))) == "OSError: [Errno 5] broken"
    monkeypatch.setattr(experiment.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2**20 - 1}))
    with pytest.raises(UserError, match=r"^disk full at "):
        run_row(config, fails_with(RuntimeError("safetensors could not write")))


def test_disk_of_a_folder_that_does_not_exist_yet(tmp_path, monkeypatch):
    checked = []
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr(experiment.shutil, "disk_usage", lambda path: checked.append(path) or usage)
    assert not disk_full(RuntimeError(), tmp_path / "not/there")
    assert checked == [tmp_path] and disk_full(OSError(errno.ENOSPC, "full"), tmp_path)
