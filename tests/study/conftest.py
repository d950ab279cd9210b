import pytest

from tests.helpers.fakes import write_tiny
from tests.helpers.study import result_of


@pytest.fixture
def shop(tmp_path):
    """The folder of the dataset `tiny`."""
    write_tiny(tmp_path)
    return tmp_path


@pytest.fixture
def runs(monkeypatch):
    """What was run, as (model, seed); every run gives the same ranks."""
    done = []

    def run(config):
        done.append((config["model"], config["seed"]))
        return result_of((1, 2, 3))

    monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", run)
    return done
