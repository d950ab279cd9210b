"""The command line of a study."""

import pytest

from recbole_llmfashion.errors import UserError
from tests.helpers.command_lines import study_request


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing option '--dataset' / '-d'"),
        (["--dataset=x", "--seeds=0"], ", found '0'; see `prog study compare --help`"),
        (["--dataset=x", "--seeds=two"], ", found 'two'; see"),
        (["--dataset=x", "oops"], "expected --key=value, found 'oops'; see `prog study compare --help`"),
        (["--dataset=x", "--dataset=y"], "--dataset is given twice"),
        (["--dataset=x", "-d", "y"], "--dataset is given twice"),
        (["--dataset=x", "--epochs"], "--epochs needs a value"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(UserError) as raised:
        study_request("compare", words)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_zero_shot_words():
    request = study_request("zero-shot", ["--source=a", "--targets=b,c", "--use_tuned=False", "--epochs=3"])
    assert (request.dataset, request.options["targets"]) == ("a", "b,c")
    assert request.overrides == {"use_tuned": False, "epochs": 3}
    assert str(request.output) == "results/a-zero-shot"
    with pytest.raises(UserError, match="study zero-shot: Missing option '--targets'"):
        study_request("zero-shot", ["--source=a"])


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["--epochs=3"], [{"epochs": 3}, {"epochs": 3}]),  # what the rows have
        (["--epochs=3"], [{"epochs": 5}, {}]),  # the second row takes it
        (["--epochs=3"], [{"n_layers": 1}]),
        (["--title_model={epochs: 3}"], [{"title_model": {"hidden": 8}}]),  # another field
        (["--epochs=3"], []),
    ],
)
def test_keys_that_a_row_takes(words, rows):
    study_request("compare", ["--dataset=x", *words]).refuse_own_keys(rows)


@pytest.mark.parametrize(
    ("words", "rows", "line"),
    [
        (
            ["--epochs=3"],
            [{"epochs": 5}, {"epochs": 3}],
            "epochs: found '3', but the rows of study compare have '5', '3'",
        ),
        (["--title_model={epochs: 3}"], [{"title_model": {"epochs": 8}}], "title_model.epochs: found '3', but"),
    ],
)
def test_keys_that_no_row_takes(words, rows, line):
    with pytest.raises(UserError) as raised:
        study_request("compare", ["--dataset=x", *words]).refuse_own_keys(rows)
    assert str(raised.value).startswith(f"command line: {line}") and str(raised.value).endswith("; leave it out")
