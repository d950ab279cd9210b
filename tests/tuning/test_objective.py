"""One trial, without Ray: its reports, and the stages that it computes."""

import math
import os

import pytest
import torch

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.pipeline import language_model
from recbole_llmfashion.quick_start import experiment
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.retrieval.response_stats import ResponseStats
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.tuning.objective import END, STEP, VALUE, Job, run_trial
from recbole_llmfashion.tuning.space import read_space
from tests.helpers.fakes import INTER, SMALL, replace_test_targets, simulated_shop, write_tiny

BASELINE_KEYS = ("epochs", "train_batch_size", "show_progress")
LLM_STEPS = [1, 2, 3]  # memory, adapter, valid


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop and a copy with other test targets; trials use no click filter, since it reads test targets."""
    root = simulated_shop(tmp_path_factory.mktemp("shop"))
    replace_test_targets(root / "shoes", root / "other/shoes")
    return root


@pytest.fixture(autouse=True)
def threads():
    """Restores the number of threads, which a trial sets for its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trial(shop, model, values, data="", **keys):
    base = SMALL if model == "LLMFashionRec" else {key: SMALL[key] for key in BASELINE_KEYS}
    folders = {"data_path": str(shop / data), "checkpoint_dir": str(shop / "saved"), "click_filter": "none"}
    overrides = {**base, **folders, **keys}
    reports = []
    job = Job(model, "shoes", (), overrides, threads=1, folder=os.getcwd())
    run_trial(job, values, reports.append)
    return reports


@pytest.fixture(scope="module")
def llm(shop):
    """Reports of the first trial of LLMFashionRec, which computes the stages of this module."""
    before = torch.get_num_threads()
    reports = trial(shop, "LLMFashionRec", {"mixup_m": 1})
    torch.set_num_threads(before)
    return reports


def test_baseline_reports_each_epoch(shop):
    reports = trial(shop, "GRU4Rec", {"learning_rate": 0.01}, epochs=3)
    assert [report[STEP] for report in reports] == [1, 2, 3, 4]
    assert [END in report for report in reports] == [False, False, False, True]
    assert reports[-1][VALUE] == max(report[VALUE] for report in reports[:3]) > 0
    end = reports[-1][END]
    assert end["valid"]["ndcg@10"] == reports[-1][VALUE] and end["stages_reused"] == [] and end["threads"] == 1
    again = trial(shop, "GRU4Rec", {"learning_rate": 0.01}, epochs=3)
    assert [r[VALUE] for r in again] == [r[VALUE] for r in reports]  # a reused stage gives the same reports
    assert again[-1][END]["stages_reused"] == ["train_GRU4Rec"]


def test_steps_count_validations(shop):
    reports = trial(shop, "GRU4Rec", {}, epochs=4, eval_step=2)
    assert [report[STEP] for report in reports] == [1, 2, 3]


def test_test_rows_are_not_evaluated(shop, llm, monkeypatch):
    monkeypatch.setattr(experiment, "_test", lambda *args: pytest.fail("the test rows were evaluated"))
    for model, values in (("GRU4Rec", {"learning_rate": 0.02}), ("LLMFashionRec", {"mixup_m": 1}), ("Popularity", {})):
        assert "error" not in trial(shop, model, values)[-1][END]


@pytest.mark.slow
def test_other_test_targets_give_the_same_reports(shop, llm):
    """Reports do not change if every test target is replaced."""
    for model, points in (
        ("GRU4Rec", [{"learning_rate": 0.001}, {"learning_rate": 0.03}]),
        ("LLMFashionRec", [{"mixup_m": 1}, {"title_model.epochs": 3}, {"ranking": "title"}]),
    ):
        before = [[r[VALUE] for r in trial(shop, model, values, epochs=2)] for values in points]
        after = [[r[VALUE] for r in trial(shop, model, values, "other", epochs=2)] for values in points]
        assert before == after and len({values[-1] for values in before}) > 1
    assert before[0][-1] != math.nan


def computed(reports):
    end = reports[-1][END]
    return set(end["stage_seconds"]) - set(end["stages_reused"]) - {"total"}


@pytest.mark.slow
def test_only_stages_of_changed_keys_are_computed(shop, llm):
    assert [report[STEP] for report in llm] == [*LLM_STEPS, 4]
    assert computed(llm) >= {"clip", "adapter", "responses", "title", "train_SASRecSampled"}
    assert computed(trial(shop, "LLMFashionRec", {"mixup_m": 2})) == set()
    assert computed(trial(shop, "LLMFashionRec", {"mixup_k": 5, "mixup_title_start": 0})) == set()
    assert computed(trial(shop, "LLMFashionRec", {"empty_response_fallback": "popularity"})) == set()
    assert computed(trial(shop, "LLMFashionRec", {"title_model.learning_rate": 0.01})) == {"title"}
    responses = trial(shop, "LLMFashionRec", {"decoding": "sample", "response_title": "generated"})
    assert computed(responses) == {"adapter", "responses"}  # titles train where they are generated
    adapter = trial(shop, "LLMFashionRec", {"llm_learning_rate": 0.01})
    assert computed(adapter) == {"adapter", "responses"}
    assert [report[STEP] for report in adapter] == [*LLM_STEPS, 4]  # before the adapter, after it, all rows, end


def test_first_report_is_without_the_adapter(shop, monkeypatch):
    """The first report uses the backbone only, the later ones the adapter; all have responses."""
    shares, adapters, loaded = [], [], []
    original, load = ResponseStats.add, language_model.load_adapter

    def add(self, answers, *rest):
        shares.append(sum(answer.item_token is not None for answer in answers) / len(answers))
        adapters.append(len(loaded))
        return original(self, answers, *rest)

    monkeypatch.setattr(ResponseStats, "add", add)
    monkeypatch.setattr(language_model, "load_adapter", lambda *args, **keys: loaded.append(1) or load(*args, **keys))
    trial(shop, "LLMFashionRec", {"llm_learning_rate": 0.02}, checkpoint_dir=str(shop / "saved_steps"))
    assert set(shares) == {1.0} and len(shares) == 3  # backbone and adapter on some users, the adapter on all
    assert adapters[0] == 0 and min(adapters[1:]) == 1


def test_failing_model(shop):
    (report,) = trial(shop, "SASRec", {"hidden_size": 63})
    assert report[STEP] == 1 and math.isnan(report[VALUE])
    assert "63" in report[END]["error"] and "Traceback" in report[END]["traceback"]


def test_no_validation_rows(tmp_path):
    rows = [(u, (u + t) % 6 + 11, "click" if t < 3 else "purchase", t) for u in range(9) for t in range(4)]
    lines = "".join(f"u{u}\t{item}\t{action}\t{time}\n" for u, item, action, time in rows)
    write_tiny(tmp_path, INTER.splitlines()[0] + "\n" + lines, "")
    keys = {"data_path": str(tmp_path), "checkpoint_dir": str(tmp_path / "saved"), "topk": [2], "epochs": 1}
    reports = []
    job = Job("GRU4Rec", "tiny", (), {**keys, "valid_metric": "NDCG@2"}, threads=1, folder=os.getcwd())
    run_trial(job, {}, reports.append)
    assert "no validation row" in reports[-1][END]["error"]


def test_stopped_trial_leaves_no_stage(shop):
    """Ray stops a trial by raising SystemExit from a report."""

    def stop(report):
        if report[STEP] == 2:
            raise SystemExit

    keys = {"epochs": 3, "data_path": str(shop), "checkpoint_dir": str(shop / "saved_stop"), "show_progress": False}
    job = Job("GRU4Rec", "shoes", (), keys, threads=1, folder=os.getcwd())
    with pytest.raises(SystemExit):
        run_trial(job, {}, stop)
    stages = StageStore(shop / "saved_stop/shoes/stages").root
    assert [path.name for path in stages.iterdir()] == [".locks"]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("model", ["Recformer", "RecformerQuery"])
def test_a_trial_of_recformers_space(shop, model):
    config = load_config(get_model(model).model, "x")
    space = read_space(properties_folder() / "hyper/Recformer.yaml", config.model_class, config)
    values = {name: domain.values[-1] if domain.values else domain.low for name, domain in space.domains.items()}
    tiny = {"recformer": {"width": 16, "layers": 1, "heads": 2}, "recformer_stage1_epochs": 2}
    reports = trial(shop, model, values | {"recformer_pretrain_epochs": 0}, **tiny, recformer_stage2_epochs=1)
    assert [report[STEP] for report in reports] == [1, 2, 3, 4] and END in reports[-1]
    assert reports[-1][VALUE] > 0
