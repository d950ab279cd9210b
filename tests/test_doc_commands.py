"""Every command of README.md and docs/ runs, small, one after another in one folder; or it says why it cannot here."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import recbole
import yaml
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.cli.train import main
from recbole_llmfashion.cli.tune import main as search
from tests.helpers.convert import amazon, hm
from tests.helpers.convert_published import PUBLISHED
from tests.helpers.doc_commands import NOT_HERE, PAGES, ROOT, RUN, all_commands, commands_of, rule_of, small

COMMANDS = all_commands()
ITEM = "417496"  # of the shop that ships; the small one has others
HERE = [command for command in COMMANDS if command not in NOT_HERE]
PYTHON = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
]


def test_commands_are_found():
    page = "a\n```bash\nuv run x --y=1 \\\n    --z  # why\npip w && uv run v\n# a comment\n```\n```yaml\nq\n```\n"
    assert commands_of(page) == ["x --y=1 --z", "pip w", "v"]
    assert len(COMMANDS) > 50


def test_every_command_is_run_or_has_its_reason():
    """A new command begins as one in RUN does, or is in NOT_HERE with its reason."""
    assert [command for command in HERE if rule_of(command) is None] == []


def test_the_tables_have_only_what_a_page_has():
    assert set(NOT_HERE) - set(COMMANDS) == set()
    assert set(RUN) - {rule_of(command) for command in HERE} == set()


def test_reasons_are_true():
    """What another file has to run, that file runs."""
    for command, reason in NOT_HERE.items():
        for file in re.findall(r"(?:tests/\S+\.py|\.ci/run)", reason):
            assert (ROOT / file).is_file(), (command, file)
    assert "benchmarks/tune.py" in (ROOT / ".ci/run").read_text()


def test_a_command_made_small():
    assert small("run_hyper.py --num_samples=20 --output x", {}) == [
        *["run_hyper.py", "--num_samples=2", "--output", "x", "--config_files=small.yaml"]
    ]
    made = small("run_recbole_llm.py --config_files='a.yaml b.yaml' --use_tuned", {})
    assert made == ["run_recbole_llm.py", "--use_tuned", "--config_files=a.yaml b.yaml small.yaml"]
    made = small("recbole-llmfashion study compare --seeds=3", {})
    assert made[:4] == ["recbole-llmfashion", "study", "compare", "--seeds=1"] and len(made) == 5
    assert small("recbole-llmfashion recommend --run saved/RUN", {r"saved/\w+": "here"})[-1] == "here"


def test_the_items_of_the_pages_are_in_the_shop_that_ships():
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    from recbole_llmfashion.serving.web.routes import EXAMPLE

    texts = [json.dumps(EXAMPLE), *(page.read_text(encoding="utf-8") for page in PAGES)]
    named = set(re.findall(r'"item_id": "(\d+)"|remove_items\(\["(\d+)"', "".join(texts)))
    assert {item for pair in named for item in pair if item} == {ITEM}
    shipped = pd.read_csv(ROOT / "dataset/footwear/footwear.item", sep="\t", dtype=str, usecols=["item_id:token"])
    assert ITEM in set(shipped["item_id:token"])


def _simulate(category: str, folder: Path) -> None:
    size = ["--users", "40", "--items", "300", "--seed", "7", "--out", str(folder)]
    made = CliRunner().invoke(app, ["simulate", "--category", category, *size])
    assert made.exit_code == 0, made.output


def _shop_tables(place: Path) -> None:
    """The tables of a shop under the names that README.md and docs/results give them."""
    folder, plain = place / "dataset/footwear", {"sep": "\t", "dtype": str, "keep_default_na": False}
    events, searches, items = (
        pd.read_csv(folder / f"footwear.{name}", **plain) for name in ("inter", "search", "item")
    )
    for frame in (events, searches, items):
        frame.columns = [column.split(":")[0] for column in frame.columns]
    events.rename(columns={"timestamp": "time"}).to_csv(place / "events.csv", index=False)
    events.rename(columns={"timestamp": "order"}).to_csv(place / "interactions.csv", index=False)
    searches.rename(columns={"timestamp": "time", "results": "shown"}).to_csv(place / "searches.csv", index=False)
    items.to_csv(place / "items.csv", index=False)
    titles = dict(zip(items["item_id"], items["title"], strict=True))
    retail = {
        "CustomerID": pd.factorize(events["user_id"])[0] + 12346.0,
        "InvoiceDate": pd.to_datetime(events["timestamp"].astype(float), unit="s"),
        "Description": events["item_id"].map(titles),
    }
    pd.DataFrame(retail).assign(Quantity=1, UnitPrice=2.5).to_parquet(place / "online_retail.parquet")


def _logs(place: Path) -> None:
    """The public logs in their own files."""
    names = ("Amazon_Fashion.jsonl", "meta_Amazon_Fashion.jsonl")
    amazon(place, *names)
    for name in names:
        (place / f"{name}.gz").write_bytes(gzip.compress((place / name).read_bytes()))
    hm(place)
    (place / "week").mkdir()
    shutil.copy(place / "transactions_train.csv", place / "week/transactions.csv")  # docs/results: a draw from it
    for write in PUBLISHED:
        write(place)
    shutil.copytree(Path(recbole.__file__).parent / "dataset_example/ml-100k", place / "ml-100k")


def _settings(place: Path) -> None:
    """small.yaml: the example and more; plain.yaml: for RecBole models; studies.yaml: CI; pretrain.yaml: a toy."""
    shutil.copy(ROOT / ".ci/studies.yaml", place)
    keys = _yaml("properties/example/small.yaml") | {
        "show_progress": False,
        "epochs": 1,
        "title_model": {"epochs": 1},
        "curriculum_epochs": 1,
        "max_length": 256,
    }
    keys |= {"llm_name_or_path": "tiny-falcon", "clip_pretrained": None}  # over the paper's own
    (place / "small.yaml").write_text(yaml.safe_dump(keys))
    (place / "plain.yaml").write_text(yaml.safe_dump({"epochs": 1, "show_progress": False}))
    toy = {"categories": ["footwear"], "shops_per_category": 1, "users_per_shop": 60, "vocab_size": 600, "width": 16}
    toy |= {"layers": 1, "heads": 2, "copy_steps": 2, "listed_passes": 1.0, "spelled_passes": 0.5}
    (place / "pretrain.yaml").write_text(yaml.safe_dump(_yaml("properties/pretrain.yaml") | toy))


def _yaml(file: str) -> dict:
    return yaml.safe_load((ROOT / file).read_text().replace("2e-3", "0.002"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A clone as its reader has it, as far as the commands look, with a small shop in place of the one that ships."""
    place = tmp_path_factory.mktemp("docs")
    for name in ("benchmarks", ".ci", "run_recbole_llm.py", "docs"):
        (place / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "properties", place / "properties")
    _simulate("footwear", place / "dataset/footwear")
    _simulate("clothing", place / "dataset/clothing")
    _shop_tables(place)
    _logs(place)
    _settings(place)
    session = re.findall(r"^```json\n(.*?)^```", (ROOT / "docs/serving.md").read_text(), re.M | re.S)[0]
    (place / "session.jsonl").write_text(session.replace(ITEM, _an_item(place)))
    return place


def _an_item(place: Path) -> str:
    return pd.read_csv(place / "dataset/footwear/footwear.item", sep="\t", dtype=str).iloc[0, 0]


@cache
def _run_of(place: Path, dataset: str) -> str:
    """The run folder that results.json names at first: a later main job writes another results.json."""
    rows = json.loads((place / f"results/{dataset}/results.json").read_text())["models"]
    return str(rows["LLMFashionRec"]["run"])


def _start(words: list[str]) -> None:
    """Ours in this process, whose imports are made; others in one of their own."""
    if words[0] == "recbole-llmfashion":
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (result.output, result.exception)
    elif "run_recbole_llm.py" in words[:2]:
        assert main(words[words.index("run_recbole_llm.py") + 1 :]) == 0
    elif words[0] == "run_hyper.py":
        assert search(words[1:]) == 0
    else:
        words = [sys.executable, *words[1:]] if words[0] == "python" else words
        done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]


done: set[tuple[str, ...]] = set()


@pytest.mark.slow
@pytest.mark.parametrize("command", [pytest.param(one, id=f"{at}-{one[:60]}") for at, one in enumerate(HERE)])
def test_it_runs(command, place, monkeypatch):
    """In the order of the pages: what one leaves the next one takes, such as the search's best.yaml."""
    monkeypatch.chdir(place)
    found = re.findall(r"saved/(\w+)/runs/", command)
    names = {rf"saved/{dataset}/runs/\w+": _run_of(place, dataset) for dataset in found}
    words = small(command, names)
    if tuple(words) not in done:  # two pages may say the same at different sizes
        _start(words)
        done.add(tuple(words))


@pytest.mark.slow
@pytest.mark.parametrize("block", PYTHON)
def test_python_runs(block, place, monkeypatch):
    """After the commands; `frame` and the run folder are the reader's."""
    monkeypatch.chdir(place)
    frame = pd.DataFrame({"item_id": ["new-1"], "title": ["red rubber boots"], "color": ["red"]})
    if "/runs/" in block:
        block = re.sub(r"saved/footwear/runs/\w+", _run_of(place, "footwear"), block)
    exec(compile(block.replace(ITEM, _an_item(place)), "docs", "exec"), {"frame": frame})
