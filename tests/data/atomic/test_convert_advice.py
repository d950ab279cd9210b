"""Folders of RecBole's own format: one line names the command that makes a dataset of them, before anything trains."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from recbole_llmfashion.cli.main import run
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.folder import AtomicError, item_columns, read_folder
from tests.helpers.fakes import INTER, ITEM, write_tiny

RECBOLE = Path(find_spec("recbole").origin).parent / "dataset_example"
RATED = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\t11\t3\t1700000000\n"
PLAIN = "user_id:token\titem_id:token\ttimestamp:float\nu1\t11\t1700000000\n"
OWN = PLAIN.replace("user_id", "uid").replace("item_id", "iid").replace("timestamp", "time")
NAMES = FieldNames("uid", "iid", "time")


def items(*fields: str) -> str:
    return "item_id:token\t" + "\t".join(fields) + "\n"


# (.inter, header of .item, options of the command, where COL is ..)
FOREIGN = [
    (RATED, items("movie_title:token_seq", "release_year:token", "class:token_seq"), "--title movie_title", ""),
    (PLAIN, items("movie_title:token_seq", "class:token"), "--title movie_title", ""),
    (PLAIN, items("Product_Name:token", "asin:token"), "--title Product_Name", ""),
    (PLAIN, items("product:token", "label:token_seq", "price:float"), "--title COL", "product or label"),
    (PLAIN, items("title_en:token", "title_de:token", "class:token"), "--title COL", "title_en or title_de"),
    (RATED, items("title:token_seq", "artist_name:token"), "--title title", ""),
    (RATED, ITEM, "--title title --brand brand --color color --size size --category category", ""),
    (INTER, items("name:token", "brand:token"), "--title name --brand brand --action action", ""),
    (OWN, items("name:token").replace("item_id", "iid"), "--title name --user uid --item iid --time time", ""),
]


@pytest.mark.parametrize(("inter", "item", "options", "columns"), FOREIGN)
def test_the_line_names_the_command_with_the_columns(tmp_path, inter, item, options, columns):
    folder = write_tiny(tmp_path, inter, "", item)
    names = NAMES if inter is OWN else FieldNames()
    with pytest.raises(AtomicError) as raised:
        read_folder(folder, names=names)
    command = f"recbole-llmfashion convert recbole {folder} {options} --out dataset/tiny_text"
    where = f", where COL is {columns}" if columns else ""
    assert str(raised.value).endswith(
        f"; make a dataset of this RecBole folder with `{command}`{where}, and run --dataset=tiny_text"
    )
    assert "\n" not in str(raised.value)


# (.inter, header of .item, what the line says): folders of this package's format with a mistake, and others
OURS = [
    (INTER, ITEM.replace("title:", "titel:"), "the column title"),
    (INTER.replace("action:", "actoin:"), ITEM, "the column action"),
    (INTER, ITEM.replace("brand:token\t", ""), "a column brand:token"),
    (INTER, items("price:float"), "a column title:token"),
    (PLAIN.replace("timestamp:float", "day:token"), items("name:token"), "one of the columns"),
    (PLAIN.replace("\t", ","), items("name:token"), "columns separated by tabs"),
    (INTER, "", "this file in"),
]  # fmt: skip


@pytest.mark.parametrize(("inter", "item", "text"), OURS)
def test_other_mistakes_are_not_those_of_recboles_format(tmp_path, inter, item, text):
    folder = write_tiny(tmp_path, inter, "", item)
    with pytest.raises(AtomicError, match=re.escape(text)) as raised:
        read_folder(folder)
    assert str(raised.value).endswith(f"run `recbole-llmfashion validate {folder}` to see every problem")


def test_the_header_alone_gives_the_same_line(tmp_path):
    folder = write_tiny(tmp_path, PLAIN, "", items("movie_title:token"))
    with pytest.raises(AtomicError, match=r"convert recbole .* --title movie_title"):
        item_columns(folder, "tiny")


def last_line(capsys):
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--model=SASRec,LLMFashionRec", "--dataset=ml-100k", f"--data_path={RECBOLE}"],
        ["run", "--model=SASRec", "--dataset=ml-100k"],  # no such folder here: RecBole's is named
        ["study", "compare", "--models=SASRec", "--dataset=ml-100k", f"--data_path={RECBOLE}"],
        ["tune", "--model=SASRec", "--dataset=ml-100k", f"--data_path={RECBOLE}", "--params_file=space.yaml"],
    ],
)
def test_recboles_own_data(tmp_path, monkeypatch, capsys, words):
    """ml-100k as it is in RecBole's wheel."""
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text("hidden_size: {choice: [64]}\n")
    assert run(words) == 2
    line = last_line(capsys)
    assert (
        f"`recbole-llmfashion convert recbole {RECBOLE}/ml-100k --title movie_title --out dataset/ml-100k_text`" in line
    )
    assert line.startswith("error: ") and not Path("saved").exists() and not list(Path().glob("results/*/*"))


def test_validate_names_it_too(capsys):
    assert run(["validate", str(RECBOLE / "ml-100k")]) == 2
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("ml-100k.inter, line 1, column rating") and "ml-100k.user" not in "".join(out)
    assert "--title movie_title" in out[-1]


def test_a_dataset_of_ones_own_may_be_named_as_recboles(tmp_path):
    """RecBole takes its wheel's folder and keys for ml-100k."""
    config = load_config("SASRecF", "ml-100k", overrides={"data_path": str(tmp_path), "selected_features": ["title"]})
    assert config["data_path"] == f"{tmp_path}/ml-100k" and config["load_col"] == {"inter": ["user_id", "item_id"]}


@pytest.mark.slow
def test_the_command_makes_a_dataset(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["run", "--model=SASRec", "--dataset=ml-100k"]) == 2
    command = shlex.split(last_line(capsys).split("`")[1])
    assert run(command[1:]) == 0
    assert run(["run", "--model=Popularity,SASRec", "--dataset=ml-100k_text", "--dry_run"]) == 0
    assert "rows: {train: 97171, valid: 943, test: 943}" in capsys.readouterr().out
