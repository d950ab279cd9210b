"""The mutants of tools/mutants.py fit the code of today, and tests notice each of them."""

import pytest

from tools import mutants


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.note)
def test_line_occurs_once_and_its_tests_exist(mutant):
    text = (mutants.ROOT / mutants.PACKAGE / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.line) == 1 and mutant.broken != mutant.line
    assert all((mutants.ROOT / word).exists() for word in mutant.tests if word.startswith("tests/"))


def test_a_line_that_is_not_there(tmp_path):
    mutants.copy_tree(tmp_path)
    wrong = mutants.Mutant("errors.py", "no such line", "", (), "")
    with pytest.raises(SystemExit, match=r"errors\.py: expected the line once, found 0"):
        mutants.apply(wrong, tmp_path)


@pytest.mark.slow
def test_every_mutant_is_killed(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mutants.py"])
    status = mutants.main()
    assert status == 0, capsys.readouterr().out


@pytest.mark.slow
def test_a_mutant_that_changes_nothing_survives():
    harmless = mutants.Mutant(
        "retrieval/mixup.py", "if m < 0 or k < 1", "if k < 1 or m < 0", ("tests/retrieval/test_mixup.py",), ""
    )
    assert mutants.survives(harmless)
