"""Sequences in the order of item ids, and equal timestamps."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.data.atomic.time_order import TimeOrder, time_order
from tests.helpers.fakes import INTER, real_data, write_tiny

ITEMS = "item_id:token\ttitle:token\tbrand:token\tcolor:token\tsize:token\tcategory:token\n"


def log(*sequences, times=None):
    """A log from one sequence of items per user, with times 0, 1, 2, .. or the given ones."""
    rows = [
        (f"u{user}", item, float((times or range(len(items)))[place]))
        for user, items in enumerate(sequences)
        for place, item in enumerate(items)
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


def shuffled(users, length, seed=0, items=50, name="B{:04d}"):
    rng = np.random.default_rng(seed)
    return [[name.format(i) for i in rng.choice(items, length, replace=False)] for _ in range(users)]


@pytest.mark.parametrize(
    ("sequences", "customers", "share", "chance"),
    [
        ([["a", "b", "c"]], 1, 1.0, 2 / 6),
        ([["c", "b", "a"]], 1, 1.0, 2 / 6),
        ([["a", "c", "b"]], 1, 0.0, 2 / 6),
        ([["a", "b", "c", "d"], ["d", "a", "b"]], 2, 0.5, (2 / 24 + 2 / 6) / 2),
        ([["a", "b"], ["b", "a"]], 0, 0.0, 0.0),  # two are always sorted
        ([["a", "a", "b", "b", "c"]], 1, 1.0, 2 / 6),  # repeats in a row count once
        ([["a", "a", "a"]], 1, 0.0, 0.0),  # nothing to sort
        ([["a", "b", "a"]], 1, 0.0, 2 * 2 / 6),
        ([["9", "10", "11"]], 1, 1.0, 2 / 6),  # as numbers
        ([["10", "11", "9"]], 1, 1.0, 2 / 6),  # as text
        ([["i9", "i10", "i11"]], 1, 1.0, 2 / 6),
        ([], 0, 0.0, 0.0),
    ],
)
def test_sorted_sequences(sequences, customers, share, chance):
    order = time_order(log(*sequences))
    assert (order.customers, order.sorted_by_item) == (customers, share)
    assert order.sorted_by_chance == pytest.approx(chance, abs=1e-12)


@pytest.mark.parametrize(
    ("times", "share"),
    [
        ([1.0, 2.0, 3.0, 4.0], 0.0),
        ([1.0, 1.0, 3.0, 4.0], 1 / 3),
        ([1.0, 1.0, 1.0, 1.0], 1.0),
        ([0.0, 1.0, 2.0, 3.0], 0.0),  # an order, no seconds of the day 1970-01-01
        ([1.6e9, 1.6e9 + 1, 1.6e9 + 2, 1.6e9 + 3], 0.0),
        # midnight and the seconds after it: rows of a day, numbered by convert
        ([18500 * 86400.0, 18500 * 86400.0 + 1, 18500 * 86400.0 + 2, 18501 * 86400.0], 2 / 3),
        ([18500 * 86400.0, 18500 * 86400.0 + 2, 18500 * 86400.0 + 3, 18501 * 86400.0 + 1], 0.0),
    ],
)
def test_equal_times(times, share):
    assert time_order(log(["a", "c", "b", "d"], times=times)).equal_times == pytest.approx(share)


@pytest.mark.parametrize("length", [3, 4, 6, 12])
def test_random_orders_are_as_often_sorted_as_chance_says(length):
    order = time_order(log(*shuffled(4000, length)))
    assert order.sorted_by_item == pytest.approx(order.sorted_by_chance, abs=0.03) and order.warnings() == []


@pytest.mark.parametrize("name", ["B{:04d}", "{}", "item{}"])
@pytest.mark.parametrize("reverse", [False, True])
def test_sorted_logs_are_named(name, reverse):
    sequences = shuffled(100, 6, name=name)
    keys = {"B{:04d}": str, "{}": int, "item{}": lambda item: int(item[4:])}
    (line,) = time_order(log(*(sorted(s, key=keys[name], reverse=reverse) for s in sequences))).warnings()
    assert line.startswith("warning: 100.0% of the customers have their items in the order of item ids (chance: 0.3%)")


@pytest.mark.parametrize(
    ("by_item", "by_chance", "equal", "count"),
    [(0.25, 0.1, 0.2, 0), (0.26, 0.1, 0.2, 1), (0.25, 0.1, 0.21, 1), (0.06, 0.0, 0.3, 2), (0.0, 0.3, 0.0, 0)],
)
def test_limits(by_item, by_chance, equal, count):
    order = TimeOrder(10, by_item, by_chance, equal)
    assert len(order.warnings()) == count and len(order.lines()) == 1 + count
    assert all("\n" not in line for line in order.lines())


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


def sorted_folder(root):
    items = [f"i{i}" for i in range(9)]
    rows = [f"u{u}\t{items[(u + step) % 9]}\tpurchase\t{step // 2}\n" for u in range(4) for step in range(4)]
    inter = "user_id:token\titem_id:token\taction:token\ttimestamp:float\n" + "".join(rows)
    return write_tiny(root, inter, "", ITEMS + "".join(f"{item}\tTitle\t\t\t\t\n" for item in items))


def test_validate_and_clean_print_both_figures(tmp_path):
    folder = sorted_folder(tmp_path)
    for words in (["validate", folder], ["clean", folder]):
        status, text = run(*words)
        assert status == 0
        assert "sequences sorted by item id: 100.0% (chance: 8.3%); neighbours with equal timestamps: 66.7%" in text
        assert "warning: 100.0% of the customers" in text and "warning: 66.7% of neighbouring actions" in text


def test_convert_writes_both_figures(tmp_path):
    pd.DataFrame(
        [(u, f"i{u + step}", step // 2) for u in range(4) for step in range(4)], columns=["user", "item", "time"]
    ).to_csv(tmp_path / "events.csv", index=False)
    pd.DataFrame({"item": [f"i{i}" for i in range(8)], "title": "Boot"}).to_csv(tmp_path / "items.csv", index=False)
    options = {"user": "user", "item": "item", "time": "time", "title": "title", "out": tmp_path / "shop"}
    files = {"interactions": tmp_path / "events.csv", "items": tmp_path / "items.csv"}
    status, text = run("convert", "table", *(f"--{key}={value}" for key, value in {**options, **files}.items()))
    readme = (tmp_path / "shop/README.md").read_text()
    assert status == 0
    for line in time_order(log(*[[f"i{u + step}" for step in range(4)] for u in range(4)], times=[0, 0, 1, 1])).lines():
        assert f"- {line}\n" in readme and line in text


def test_a_week_of_days(tmp_path):
    """H&M's log has days; convert numbers the rows of a day, and validate still knows."""
    folder = real_data("hm_week")
    files = [f"--articles={folder}/articles.csv", f"--transactions={folder}/transactions.csv"]
    for words in (["convert", "hm", *files, f"--out={tmp_path}/hm"], ["validate", f"{tmp_path}/hm"]):
        status, text = run(*words)
        assert status == 0 and "of neighbouring actions share a timestamp" in text
        assert "in the order of item ids" not in text


def test_an_office_in_the_order_of_time():
    log = pd.read_csv(real_data("amazon_office") / "interactions.csv", dtype=str).rename(columns={"order": "timestamp"})
    assert time_order(log).warnings() == []
    by_id = log.sort_values(["user_id", "item_id"], kind="stable")
    assert len(time_order(by_id).warnings()) == 1


def test_the_entry_is_json():
    assert json.loads(json.dumps(TimeOrder(3, 1 / 3, 0.1, 0.0).entry())) == {
        "customers": 3, "sorted_by_item": 0.333333, "sorted_by_chance": 0.1, "equal_times": 0.0, "before_1973": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("times", "share"),
    [
        ([1.6e9, 1.6e9, 1.6e9, 0.0], 0.25),
        ([1e8 - 1, 1e8, 5.0, 1.7e9], 0.5),
        ([1.6e9, 1.6e9, 1.6e9, 1.6e9], 0.0),
        ([0.0, 1.0, 2.0, 3.0], 0.0),
        ([], 0.0),
    ],
)
def test_timestamps_before_1973_among_dates(times, share):
    """Of every row, also of customers with few actions."""
    rows = pd.DataFrame({"user_id": ["u", "u", "v", "w"], "item_id": ["a", "b", "a", "a"]})[: len(times)]
    assert time_order(rows.assign(timestamp=np.array(times))).before_1973 == share


@pytest.mark.parametrize(("share", "text"), [(0.25, "25.0%"), (3e-7, "less than 0.1%")])
def test_the_warning_of_dates_that_do_not_count(share, text):
    order = TimeOrder(10, 0.0, 0.0, 0.0, share)
    (line,) = order.warnings()
    assert line == (
        f"warning: {text} of the timestamps are before 1973 and the others are dates; all of them then count as an "
        "order only (no dates in prompts, no time split); correct or remove these rows"
    )
    assert TimeOrder(**json.loads(json.dumps(order.entry()))).warnings() == [line]


def test_entries_of_earlier_results_are_read():
    entry = {"customers": 10, "sorted_by_item": 0.0, "sorted_by_chance": 0.0, "equal_times": 0.0}
    assert TimeOrder(**entry).warnings() == []


def test_validate_and_clean_say_that_one_time_turns_dates_off(tmp_path):
    folder = write_tiny(tmp_path, inter=INTER.replace("click\t1701000000\nu1", "click\t0\nu1"), search="")
    for words in (["validate", folder], ["clean", folder]):
        status, text = run(*words)
        assert status == 0 and "warning: 8.3% of the timestamps are before 1973" in text
