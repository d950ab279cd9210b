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
    """Replaces runs by constant ranks; the list of (model, seed) that were run."""
    done = []

    def run(config):
        done.append((config["model"], config["seed"]))
        return result_of((1, 2, 3))

    monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", run)
    return done


@pytest.fixture
def run_with(monkeypatch):
    """Replaces runs: a model in the given table gets its ranks, other models fail."""

    def use(ranks, **details):
        def run(config):
            if config["model"] not in ranks:
                raise ValueError("not here")
            value = ranks[config["model"]]
            return result_of(value(config) if callable(value) else value, **details)

        monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", run)

    return use
