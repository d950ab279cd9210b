"""What the command line of `convert` repeats or checks itself."""

from recbole_llmfashion.cli.converters import options, published
from recbole_llmfashion.cli.main import run
from recbole_llmfashion.dataset_tools.convert.readers.bad_lines import MAX_BROKEN
from recbole_llmfashion.dataset_tools.convert.sources.published.retailrocket import TITLE_PROPERTY


def test_the_defaults_are_those_of_the_readers():
    """They are repeated, so that --help imports nothing."""
    assert options.MAX_BROKEN == MAX_BROKEN and published.TITLE_PROPERTY == TITLE_PROPERTY


def test_queries_is_one_of_two(tmp_path, capsys):
    (tmp_path / "f.csv").write_text("a\n1\n")
    file = str(tmp_path / "f.csv")
    words = ["--interactions", file, "--items", file, "--user=a", "--item=a", "--time=a", "--title=a"]
    assert run(["convert", "table", *words, "--out", str(tmp_path / "out"), "--queries=all"]) == 2
    assert capsys.readouterr().err == "error: --queries: expected one of none, category, found 'all'\n"
    assert not (tmp_path / "out").exists()
