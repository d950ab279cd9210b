"""Trials rebuilt from the log of a search."""

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.tuning.trial_log import FINISHED, TrialLog
from tests.helpers.tuning import hand_written_log


@pytest.fixture
def journal(tmp_path):
    return hand_written_log(tmp_path)


def test_best_trial_is_a_finished_one(journal):
    """Trial 1 has the highest value, but it was stopped."""
    assert journal.best().number == 3 and journal.best(bigger=False).number == 0
    assert [t.number for t in journal.ended()] == [0, 1, 2, 3]
    assert [t.number for t in journal.unfinished()] == [4]


def test_first_of_equal_values(tmp_path):
    log = TrialLog(tmp_path / "journal.jsonl")
    for number in (1, 0):
        log.add("start", number, keys={})
        log.add("end", number, status=FINISHED, value=0.5, seconds=1.0, details={})
    assert log.best().number == 0


def test_incomplete_last_line(journal):
    path = journal.path
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "end", "trial": 4, "sta')
    again = TrialLog(path)
    assert [t.number for t in again.unfinished()] == [4] and again.trials[0].reports == journal.trials[0].reports
    assert again.elapsed() >= max(t for trial in journal.trials.values() for t, *_ in trial.reports)
    again.add("report", 4, step=1, value=0.5)
    assert path.read_bytes().startswith(whole + b'{"event": "report", "trial": 4')
    assert path.read_bytes().count(b"\n") == whole.count(b"\n") + 1


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "[1]",
        "3",
        '{"trial": 4}',
        '{"event": "end", "trial": 99, "time": 1.0}',
        '{"event": "start", "trial": 4, "keys": [1], "time": 1.0}',
        '{"event": "report", "trial": 4, "time": "soon", "step": 1, "value": 0.5}',
    ],
)
def test_a_foreign_line_is_one_line(journal, line):
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + f"{line}\n".encode())
    with pytest.raises(UserError) as error:
        TrialLog(journal.path)
    assert str(error.value) == f"{journal.path}: damaged; choose a new --output, or delete the folder"


def test_restarted_trial_loses_its_reports(journal):
    journal.add("report", 4, step=1, value=0.5)
    journal.add("start", 4, keys={"learning_rate": 0.002, "train_targets": "all"})
    assert journal.trials[4].reports == []
