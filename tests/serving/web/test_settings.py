"""Sources of the service settings, and invalid values."""

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.manifest import OWN, read_manifest, write_manifest
from recbole_llmfashion.serving.web.errors import check_token
from recbole_llmfashion.serving.web.settings import read_settings, run_digest


@pytest.fixture
def run(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    return str(tmp_path)


def test_arguments_override_environment_and_defaults(run):
    environ = {"LLMFASHION_RUN": "/elsewhere", "LLMFASHION_BATCH": "4", "LLMFASHION_TIMEOUT": "2.5", "OTHER": "1"}
    settings = read_settings({"run": run, "batch": 8}, environ)
    assert (str(settings.run), settings.batch, settings.timeout, settings.queue) == (run, 8, 2.5, 64)
    assert settings.token is None and settings.ongoing == 16
    defaults = read_settings({}, {"LLMFASHION_RUN": run})
    assert (defaults.batch, defaults.min_askers) == (16, 2)


def test_token_comes_from_the_environment_only(run, tmp_path):
    environ = {"LLMFASHION_TOKEN": "s3cret", "LLMFASHION_JOURNAL": str(tmp_path / "items.jsonl")}
    settings = read_settings({"run": run}, environ)
    assert settings.token == "s3cret" and "s3cret" not in repr(settings)
    with pytest.raises(UserError, match="unknown argument 'token'"):
        read_settings({"run": run, "token": "s3cret"}, {})


@pytest.mark.parametrize("text", ["s3cret\n", " s3cret", "s3cret\r\n", "\ts3cret \n", "a~!/+=.-_z"])
def test_a_token_from_a_file_is_stripped(run, tmp_path, text):
    environ = {"LLMFASHION_TOKEN": text, "LLMFASHION_JOURNAL": str(tmp_path / "items.jsonl")}
    token = read_settings({"run": run}, environ).token
    assert token == text.strip()
    check_token(f"Bearer {token}", token)


@pytest.mark.parametrize(
    "text", [" ", "\n", "two words", "a\tb", "clé", "\u200bx", "x\u200b", "a\x00b", "a\x7f", "🔑", "a\nb"]
)
def test_a_token_that_no_client_can_send_is_refused(run, tmp_path, text):
    environ = {"LLMFASHION_TOKEN": text, "LLMFASHION_JOURNAL": str(tmp_path / "items.jsonl")}
    with pytest.raises(UserError, match="LLMFASHION_TOKEN: expected letters") as error:
        read_settings({"run": run}, environ)
    assert str(error.value).endswith("no white space; choose another token")  # the token is not printed


def test_the_digest_of_a_run(tmp_path):
    (tmp_path / "rows.json").write_text("[]")
    write_manifest(tmp_path, {"model": "LLMFashionRec"}, {OWN: tmp_path}, tmp_path)
    assert run_digest(tmp_path) == read_manifest(tmp_path).digest  # the journal's first line has the latter
    for text in ("", "[]", "{}", "[" * 100_000):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(UserError, match=r"manifest\.json is not readable"):
            run_digest(tmp_path)


@pytest.mark.parametrize(
    ("args", "environ", "message"),
    [
        ({}, {}, "no run folder; pass run=DIR or set LLMFASHION_RUN"),
        ({"run": "/nowhere"}, {}, "/nowhere is not a run folder"),
        ({"bacth": 3}, {}, "did you mean 'batch'"),
        ({"batch": "0"}, {}, "batch: expected an integer of 1 or more and below 1000000000, found '0'"),
        ({"queue": "2000000000"}, {}, "1 or more and below 1000000000, found '2000000000'"),
        ({"batch": "1.5"}, {}, "batch: expected an integer"),
        ({"body_timeout": "0"}, {}, "body_timeout: expected a number of 0.1 or more"),
        ({"min_askers": "0"}, {}, "min_askers: expected an integer of 1 or more"),
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
