"""What the command line makes of words, without running the command."""

from unittest import mock

from recbole_llmfashion.cli import generate, main, study, train, tune
from recbole_llmfashion.cli.options import run_app
from recbole_llmfashion.tuning.plan import check, plan


def _captured(module, function, app, words):
    with mock.patch.object(module, function, return_value=0) as caught:
        run_app(app, words, "prog")
    return caught.call_args.args


def run_arguments(words):
    """The Arguments of `run`."""
    return _captured(train, "main_job", train.script, words)[0]


def plan_of(words):
    """The plan of `tune`."""
    arguments, options = _captured(tune, "main_job", tune.script, words)
    return plan(arguments, options, check(arguments, options))


def study_request(name, words):
    """The StudyRequest of `study NAME`."""
    return _captured(study, "study", main.app, ["study", name, *words])[0]


def generate_request(words):
    """The GenerateRequest of `generate`."""
    return _captured(generate, "write_responses", main.app, ["generate", *words])[0]
