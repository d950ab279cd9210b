"""The interface of every trainer, by the base class with Popularity as its model."""

import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import Loaders, make_loaders
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.popularity import Popularity
from recbole_llmfashion.quick_start.registry import MODEL_TABLE, get_model
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.staged import REPORTED, StagedTrainer
from tests.helpers.fakes import INTER, write_tiny

VALID = {"recall@3": 0.5, "ndcg@3": 0.315465, "mrr@3": 0.25}


def config_of(root, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    return load_config(Popularity, "tiny", (), {**folders, "topk": [3], "valid_metric": "NDCG@3", **keys})


def trainer_of(root, **keys) -> tuple[StagedTrainer, Loaders]:
    config = config_of(root, **keys)
    loaders = make_loaders(config)
    trainer = StagedTrainer(config, Popularity(config, loaders.train._dataset))
    trainer.set_data(loaders, StageStore(root / "stages"), lambda: pytest.fail("the base class needs no CORE"))
    return trainer, loaders


def test_fit_validates_once_and_reports_the_last_step(tmp_path):
    write_tiny(tmp_path)
    trainer, loaders = trainer_of(tmp_path)
    steps = []
    score, result = trainer.fit(loaders.train, loaders.valid, callback_fn=lambda *step: steps.append(step))
    assert score == 0.315465 and dict(result) == VALID and steps == [(2, 0.315465)]
    assert (trainer.best_valid_score, dict(trainer.best_valid_result)) == (score, VALID)
    assert trainer.fit(loaders.train, loaders.valid) == (score, result)
    assert REPORTED == ("backbone", "adapter", "valid")


def test_fit_without_validation_rows(tmp_path):
    """A user with one purchase has a test row only."""
    write_tiny(tmp_path, INTER.splitlines()[0] + "\nu1\t11\tclick\t1\nu1\t12\tclick\t2\nu1\t13\tpurchase\t3\n", "")
    trainer, loaders = trainer_of(tmp_path)
    for valid in (loaders.valid, None):
        assert trainer.fit(loaders.train, valid, callback_fn=lambda *_: pytest.fail("nothing to report")) == (-1.0, {})


def test_a_model_with_orders_is_evaluated_by_them(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    monkeypatch.setattr(
        Popularity, "full_sort_predict", lambda *_: pytest.fail("scores of the catalogue were computed")
    )
    trainer, loaders = trainer_of(tmp_path)
    trainer.eval_collector.data_collect(loaders.train)
    expected = {"recall@3": 0.333333, "ndcg@3": 0.166667, "mrr@3": 0.111111}
    assert dict(trainer.evaluate(loaders.test, load_best_model=False)) == expected


def test_what_a_model_without_stages_adds(tmp_path):
    write_tiny(tmp_path)
    trainer, loaders = trainer_of(tmp_path)
    assert trainer.fit_details == {} and trainer.tuned_as is None
    assert trainer.result_details(loaders) == {} and trainer.save_run(tmp_path / "runs", {}) is None
    assert not (tmp_path / "runs").exists() and not (tmp_path / "stages").exists()
    assert not list(tmp_path.rglob("*tensorboard*"))


def test_keys_that_no_model_of_this_package_has():
    config = config_of_nowhere(cold_token=True)
    with pytest.raises(UserError, match=r"^cold_token: .*Popularity"):
        StagedTrainer.validate_config(config)
    StagedTrainer.validate_config(config_of_nowhere())


def config_of_nowhere(**keys):
    return load_config(Popularity, "nowhere", (), keys)


def test_file_of_tuned_keys_by_model(tmp_path):
    write_tiny(tmp_path)
    expected = {"QueryMemory": "LLMFashionRec", "Fusion": "LLMFashionRec", "RecformerQuery": "Recformer"}
    config = config_of(tmp_path)
    for name in [*MODEL_TABLE, "CORE", "SASRec"]:
        spec = get_model(name)
        trainer = spec.trainer.__new__(spec.trainer)
        trainer.config = {**config.final_config_dict, "model": name}
        learns = spec.trainer is not StagedTrainer and name != "TextKNN"
        assert trainer.tuned_as == (expected.get(name, name) if learns else None), name
