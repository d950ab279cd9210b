import importlib
import os
import sys
import warnings

import numpy as np
import pytest
import torch

from recbole_llmfashion import compat
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from tests.helpers.fakes import write_tiny


def test_numpy_aliases():
    assert np.float_ is np.float64 and np.complex_ is np.complex128 and np.unicode_ is np.str_


def test_own_checkpoint(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", raising=False)
    torch.save({"config": compat._NoWriter}, tmp_path / "c.pth")
    with pytest.raises(Exception, match=r"[Ww]eights"):
        torch.load(tmp_path / "c.pth")
    with compat.own_checkpoint():
        assert torch.load(tmp_path / "c.pth")
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ
    with pytest.raises(Exception, match=r"[Ww]eights"):
        torch.load(tmp_path / "c.pth")


def test_command_line_hidden(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["a", "--b=c"])
    with pytest.raises(RuntimeError), compat.command_line_hidden():
        assert sys.argv == ["a"]
        raise RuntimeError
    assert sys.argv == ["a", "--b=c"]


def test_trackers_off(tmp_path, monkeypatch):
    import recbole.trainer.trainer as module

    monkeypatch.chdir(tmp_path)
    before = module.get_tensorboard, module.WandbLogger
    with compat.trackers_off():
        module.get_tensorboard(None).add_scalar("x", 1, 2)
        module.WandbLogger({"log_wandb": True}).log_metrics({"x": 1}, head="train")
    assert list(tmp_path.iterdir()) == []
    assert (module.get_tensorboard, module.WandbLogger) == before


def test_chained_fillna_hidden(tmp_path):
    """RecBole's warnings are hidden, those of the caller's own code are not."""
    write_tiny(tmp_path)
    keys = {"data_path": str(tmp_path), "topk": [2], "valid_metric": "NDCG@2"}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        make_loaders(load_config("SASRec", "tiny", overrides=keys))
        warnings.warn("of the caller", FutureWarning, stacklevel=1)
    assert [str(one.message) for one in seen if one.category is FutureWarning] == ["of the caller"]


def test_anomaly_mode_off():
    import recbole.model.sequential_recommender.sine as sine

    importlib.reload(sine)
    assert torch.is_anomaly_enabled()  # when this fails, RecBole has fixed it and the workaround can go
    compat.anomaly_mode_off()
    assert not torch.is_anomaly_enabled()


def test_recboles_quick_start_is_not_imported():
    assert "recbole.quick_start" not in sys.modules  # it imports ray
