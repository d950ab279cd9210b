"""Sources of the service settings, and invalid values."""

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.web.settings import read_settings


@pytest.fixture
def run(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    return str(tmp_path)


def test_arguments_override_environment_and_defaults(run):
    environ = {"LLMFASHION_RUN": "/elsewhere", "LLMFASHION_BATCH": "4", "LLMFASHION_TIMEOUT": "2.5", "OTHER": "1"}
    settings = read_settings({"run": run, "batch": 8}, environ)
    assert (str(settings.run), settings.batch, settings.timeout, settings.queue) == (run, 8, 2.5, 64)
    assert settings.token is None and settings.ongoing == 16
    assert read_settings({}, {"LLMFASHION_RUN": run}).batch == 16


def test_token_comes_from_the_environment_only(run, tmp_path):
    environ = {"LLMFASHION_TOKEN": "s3cret", "LLMFASHION_JOURNAL": str(tmp_path / "items.jsonl")}
    settings = read_settings({"run": run}, environ)
    assert settings.token == "s3cret" and "s3cret" not in repr(settings)
    with pytest.raises(UserError, match="unknown argument 'token'"):
        read_settings({"run": run, "token": "s3cret"}, {})


@pytest.mark.parametrize(
    ("args", "environ", "message"),
    [
        ({}, {}, "no run folder; pass run=DIR or set LLMFASHION_RUN"),
        ({"run": "/nowhere"}, {}, "/nowhere is not a run folder"),
        ({"bacth": 3}, {}, "did you mean 'batch'"),
        ({"batch": "0"}, {}, "batch: expected an integer of 1 or more, found '0'"),
        ({"batch": "1.5"}, {}, "batch: expected an integer"),
        ({"timeout": "nan"}, {}, "timeout: expected a number"),
        ({"timeout": "soon"}, {}, "found 'soon'"),
        ({}, {"LLMFASHION_QUEUE": "-1"}, "queue: expected"),
        ({}, {"LLMFASHION_TOKEN": "x"}, "set LLMFASHION_JOURNAL"),
    ],
)
def test_invalid_settings(run, args, environ, message):
    given = args if "run" in args or message.startswith("no run") else {"run": run, **args}
    with pytest.raises(UserError, match=message) as error:
        read_settings(given, environ)
    assert "\n" not in str(error.value)
