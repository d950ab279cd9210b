"""The README is true: its dataset tools run (test_doc_commands.py runs the other commands), it is short."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from tests.helpers.command_lines import plan_of, study_request
from tests.helpers.doc_commands import commands_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


STUDIES_PAGE = (ROOT / "docs/studies.md").read_text()
TUNING = (ROOT / "docs/tuning.md").read_text()


def commands(page: str = README) -> list[list[str]]:
    """Every command of a bash block as words."""
    return [shlex.split(command) for command in commands_of(page)]


def test_every_command_is_known():
    heads = {tuple(words[:2]) if words[0] == "python" else words[0] for words in commands()}
    scripts = {"run_recbole_llm.py", "run_hyper.py", ("python", "run_recbole_llm.py")}
    assert heads == {"pip", "pytest", "recbole-llmfashion", *scripts}


def test_it_is_short():
    assert len(README.splitlines()) < 200


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which `dataset/` holds a small footwear and the tables of a shop."""
    root = tmp_path_factory.mktemp("readme")
    folder = root / "dataset/footwear"
    made = CliRunner().invoke(
        app,
        ["simulate", "--category", "footwear", "--users", "40", "--items", "300", "--seed", "1", "--out", str(folder)],
    )
    assert made.exit_code == 0, made.output
    plain = {"sep": "\t", "dtype": str, "keep_default_na": False}
    frames = {name: pd.read_csv(folder / f"footwear.{name}", **plain) for name in ("inter", "search", "item")}
    for frame in frames.values():
        frame.columns = [column.split(":")[0] for column in frame.columns]
    frames["inter"].rename(columns={"timestamp": "time"}).to_csv(root / "events.csv", index=False)
    frames["search"].rename(columns={"timestamp": "time", "results": "shown"}).to_csv(
        root / "searches.csv", index=False
    )
    frames["item"].to_csv(root / "items.csv", index=False)
    return root


@pytest.mark.slow
def test_the_tools_run(place, monkeypatch):
    monkeypatch.chdir(place)
    apart = ("study", "recommend", "export", "demo")  # tests/serving runs the last three on a run folder
    tools = [words[1:] for words in commands() if words[0] == "recbole-llmfashion" and words[1] not in apart]
    assert [words[0] for words in tools] == ["convert", "validate", "simulate", "analyze"]
    for words in tools:
        if words[0] == "simulate":
            words[words.index("--users") + 1] = "30"
            words += ["--items", "300"]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (words, result.output, result.exception)


def test_the_searches_are_well_formed(place):
    """What a search does has its own tests; here every option and key of the two pages is taken and checked."""
    searches = [words[1:] for page in (README, TUNING) for words in commands(page) if words[0] == "run_hyper.py"]
    assert len(searches) == 4
    for argv in searches:
        params = [word.replace("=properties", f"={ROOT}/properties") for word in argv]
        keys = [f"--data_path={place / 'dataset'}", f"--checkpoint_dir={place / 'saved'}"]
        assert plan_of([*params, *keys]).settings.num_samples in (8, 20, 64)


def test_the_studies_are_well_formed():
    """What a study does has its own tests, and test_doc_commands.py runs each; here the two pages' options are read."""
    ours = [
        words[1:] for page in (README, STUDIES_PAGE) for words in commands(page) if words[0] == "recbole-llmfashion"
    ]
    invocations = [words[1:] for words in ours if words[0] == "study"]
    studies = next(group for group in app.registered_groups if group.name == "study").typer_instance
    assert {name for name, *_ in invocations} == {command.name for command in studies.registered_commands}
    for name, *argv in invocations:
        assert study_request(name, argv).dataset in ("footwear", "amazon_office")  # the latter is real data
    assert {words[0] for words in ours} <= {"convert", "study", *(command.name for command in app.registered_commands)}


def test_the_files_that_it_links_to_and_config_files_exist():
    links = re.findall(r"\]\((?!https:)([^)#]+)", README)
    files = [*links, *re.findall(r"--config_files=(properties\S+)", README)]
    assert {file for file in files if not (ROOT / file).exists()} == set()


def test_ci_runs_what_the_readme_says():
    text = (ROOT / ".ci/run").read_text()
    assert "uv run pytest\n" in text and "uv run run_recbole_llm.py --model=LLMFashionRec,CORE" in text
    assert "bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()
    assert yaml.safe_load((ROOT / "properties/example/small.yaml").read_text())["epochs"] == 2
