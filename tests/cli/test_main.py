"""The command line as a whole: exit statuses, and typer's own errors in one line."""

import runpy
import sys

import pytest
import typer

from recbole_llmfashion.cli.main import run
from recbole_llmfashion.cli.options import run_app
from recbole_llmfashion.cli.terminal import guarded
from recbole_llmfashion.errors import UserError
from tests.helpers.fakes import write_tiny


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nothing"], "error: recbole-llmfashion: No such command 'nothing'; see `recbole-llmfashion --help`"),
        (
            ["study", "compare"],
            "error: recbole-llmfashion study compare: Missing option '--dataset' / '-d'; "
            "see `recbole-llmfashion study compare --help`",
        ),
        (
            ["validate"],
            "error: recbole-llmfashion validate: Missing argument 'DIR'; see `recbole-llmfashion validate --help`",
        ),
    ],
)
def test_usage_errors_are_one_line_and_status_2(words, line, capsys):
    assert run(words) == 2
    assert capsys.readouterr() == ("", f"{line}\n")


def test_the_value_of_a_wrong_option_is_named(capsys):
    assert run(["study", "compare", "-d", "x", "--seeds=0"]) == 2
    line = capsys.readouterr().err
    assert "'--seeds'" in line and line.endswith("found '0'; see `recbole-llmfashion study compare --help`\n")


def test_a_group_without_a_command_lists_them(capsys):
    assert run(["study"]) == 2
    assert "zero-shot" in capsys.readouterr().err


def test_statuses(tmp_path, capsys):
    write_tiny(tmp_path)
    assert run(["validate", str(tmp_path / "tiny")]) == 0
    (tmp_path / "tiny/tiny.inter").write_text("")
    assert run(["validate", str(tmp_path / "tiny")]) == 2
    assert "tiny.inter" in capsys.readouterr().out


@pytest.mark.parametrize("script", ["run_recbole_llm.py", "run_hyper.py"])
def test_the_scripts_are_the_commands(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, "--model=CORE"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(script, run_name="__main__")
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"error: {script}: Missing option '--dataset' / '-d'; see `{script} --help`"
    )


def test_an_app_gives_its_status():
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def status(code: int) -> None:
        raise typer.Exit(code)

    assert [run_app(app, [code], "prog") for code in "012"] == [0, 1, 2]
    with pytest.raises(UserError, match=r"(?i)^prog: Invalid value for 'code'.*; see `prog --help`$"):
        run_app(app, ["x"], "prog")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("two\n lines"), "error: two lines\n"),
        (
            KeyboardInterrupt(),
            "error: stopped by Ctrl-C; finished stages are kept, the same command continues after the last one\n",
        ),
        (OSError(28, "No space left", "/x"), "error: disk full at /x: free space"),
    ],
)
def test_guarded(error, line, capsys):
    def work():
        raise error

    assert guarded(work) == 2
    assert capsys.readouterr().err.startswith(line)
    with pytest.raises(OSError, match="gone"):
        guarded(lambda: (_ for _ in ()).throw(OSError(2, "gone")))
