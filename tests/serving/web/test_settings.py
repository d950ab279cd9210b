"""Where the service's settings come from, and what is wrong with them."""

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.web.settings import read_settings


@pytest.fixture
def run(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    return str(tmp_path)


def test_an_argument_goes_before_the_environment_and_that_before_the_default(run):
    environ = {"LLMFASHION_RUN": "/elsewhere", "LLMFASHION_BATCH": "4", "LLMFASHION_TIMEOUT": "2.5", "OTHER": "1"}
    settings = read_settings({"run": run, "batch": 8}, environ)
    assert (str(settings.run), settings.batch, settings.timeout, settings.queue) == (run, 8, 2.5, 64)
    assert settings.token is None and settings.ongoing == 16
    assert read_settings({}, {"LLMFASHION_RUN": run}).batch == 16


def test_the_token_comes_from_the_environment_and_is_not_shown(run, tmp_path):
    environ = {"LLMFASHION_TOKEN": "s3cret", "LLMFASHION_JOURNAL": str(tmp_path / "items.jsonl")}
    settings = read_settings({"run": run}, environ)
    assert settings.token == "s3cret" and "s3cret" not in repr(settings)
    with pytest.raises(UserError, match="no argument 'token'"):
        read_settings({"run": run, "token": "s3cret"}, {})


@pytest.mark.parametrize(
    ("args", "environ", "said"),
    [
        ({}, {}, "no run folder; say run=DIR or set LLMFASHION_RUN"),
        ({"run": "/nowhere"}, {}, "/nowhere is no run folder"),
        ({"bacth": 3}, {}, "did you mean 'batch'"),
        ({"batch": "0"}, {}, "batch: expected a whole number from 1 on, found '0'"),
        ({"batch": "1.5"}, {}, "batch: expected a whole number"),
        ({"timeout": "nan"}, {}, "timeout: expected a number"),
        ({"timeout": "soon"}, {}, "found 'soon'"),
        ({}, {"LLMFASHION_QUEUE": "-1"}, "queue: expected"),
        ({}, {"LLMFASHION_TOKEN": "x"}, "set LLMFASHION_JOURNAL"),
    ],
)
def test_what_is_wrong_is_one_line(run, args, environ, said):
    given = args if "run" in args or said.startswith("no run") else {"run": run, **args}
    with pytest.raises(UserError, match=said) as error:
        read_settings(given, environ)
    assert "\n" not in str(error.value)
