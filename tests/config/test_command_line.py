import pytest

from recbole_llmfashion.config.command_line import read_keys, read_value, split_names
from recbole_llmfashion.errors import UserError


def test_names():
    assert split_names(" CORE, SASRec,,CORE") == ["CORE", "SASRec"] and split_names(" ,") == []


def test_values_are_yaml_and_never_evaluated():
    words = [
        "--a=1e-4",
        "--b",
        "[1, x]",
        "--c=True",
        "--d={e: 3}",
        "--f=__import__('os')",
        "--g=",
        "--h.i=-2",
        "--j",
        "-2",
    ]
    assert read_keys(words) == {
        "a": 1e-4, "b": [1, "x"], "c": True, "d": {"e": 3}, "f": "__import__('os')", "g": None, "h.i": -2, "j": -2,
    }  # fmt: skip
    assert read_value("a", "a=b") == "a=b"


def test_use_tuned_needs_no_value():
    assert read_keys(["--use_tuned"]) == {"use_tuned": True}
    assert read_keys(["--use_tuned", "--seed=1"]) == {"use_tuned": True, "seed": 1}
    assert read_keys(["--use_tuned=False"]) == {"use_tuned": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CORE"], "expected --key=value, found 'CORE'; the hint"),
        (["-x"], "expected --key=value, found '-x'; the hint"),
        (["--"], "expected --key=value, found '--'; the hint"),
        (["--epochs"], "--epochs needs a value; the hint"),
        (["--epochs", "--seed=1"], "--epochs needs a value; the hint"),
        (["--seed=1", "--seed=1"], "--seed is given twice"),
        (["--topk=[1"], "--topk=[1 is not a YAML value; quote it"),
        (["--clip={epochs: 1, epochs: 2}"], "--clip={epochs: 1, epochs: 2}: epochs is given twice; leave one out"),
    ],
)
def test_mistakes(words, message):
    with pytest.raises(UserError) as raised:
        read_keys(words, "the hint")
    assert str(raised.value) == f"command line: {message}"
