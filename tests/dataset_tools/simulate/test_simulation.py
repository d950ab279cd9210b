"""The simulator's files: format, determinism, Table 1, ids that say nothing, refusals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from recbole_llmfashion.cli import datasets
from recbole_llmfashion.data.atomic.folder import (
    AtomicFolder,
    check_clean,
    folder_sha256,
    read_folder,
    write_folder,
)
from recbole_llmfashion.dataset_tools.simulate.customers.journeys import Log
from recbole_llmfashion.dataset_tools.simulate.frames import item_ids, keep
from recbole_llmfashion.dataset_tools.simulate.shop.words import AUDIENCES, OCCASIONS, SEASONS, SIZES
from recbole_llmfashion.dataset_tools.simulate.simulation import (
    CATEGORIES,
    SimulationSettings,
    simulate_category,
)
from recbole_llmfashion.dataset_tools.statistics import measure
from recbole_llmfashion.errors import UserError


@pytest.fixture(scope="module")
def footwear(tmp_path_factory: pytest.TempPathFactory) -> AtomicFolder:
    return simulate_category(
        SimulationSettings("footwear", users=700, seed=3), tmp_path_factory.mktemp("sim") / "footwear"
    )


def _run(*flags: str) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    datasets.register(app)
    result = CliRunner().invoke(app, ["simulate", *flags], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_same_flags_same_bytes_and_another_seed_other_bytes(tmp_path: Path) -> None:
    flags = ("--category", "toys", "--users", "20", "--items", "300")
    for folder, seed in (("one", "7"), ("two", "7"), ("three", "8")):
        _run(*flags, "--seed", seed, "--out", str(tmp_path / folder / "toys"))
    for file in ("toys.inter", "toys.search", "toys.item", "README.md"):
        one, two, three = ((tmp_path / folder / "toys" / file).read_bytes() for folder in ("one", "two", "three"))
        assert one == two
        assert one != three
    check_clean(read_folder(tmp_path / "one" / "toys"))
    assert "SIMULATED" in (tmp_path / "one" / "toys" / "README.md").read_text()


def test_table_1_or_a_number_of_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SimulationSettings] = []

    def simulated(settings: SimulationSettings, path: Path, **kwargs: bool) -> AtomicFolder:
        asked.append(settings)
        return simulate_category(SimulationSettings("toys", 20, 7, 300), path)

    monkeypatch.setattr(datasets, "simulate_category", simulated)
    _run("--category", "clothing", "--table1", "--out", str(tmp_path / "toys"))
    assert asked[0].resolved()[1:] == (1_386_910, 13.25) and asked[0].users == 274_285
    for flags in ([], ["--table1", "--users", "5"]):
        with pytest.raises(UserError, match="--users N, or --table1"):
            _run("--category", "clothing", *flags, "--out", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("category", "digest"),
    [
        ("footwear", "28dfaea5fbe54d2dfbaddd4e9058a58073de2df4cd57b9a47f8ea750d253c794"),
        ("toys", "5d1ef7f13f899134f0ab76df1949a7a021cef2a947c09db0542bccf6b01d43ae"),
    ],
)
def test_the_simulator_is_frozen(category: str, digest: str, tmp_path: Path) -> None:
    """The LLM's figures are of this simulator: who changes it, measures them all again (docs/engine.md)."""
    folder = simulate_category(SimulationSettings(category, users=60, seed=7), tmp_path / category)
    folder.path.mkdir()
    write_folder(folder)
    assert folder_sha256(folder.path, category) == digest


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**31), st.sampled_from(sorted(CATEGORIES)), st.integers(300, 900), st.integers(1, 25))
def test_files_are_clean_for_any_seed(seed: int, category: str, items: int, users: int) -> None:
    folder = simulate_category(SimulationSettings(category, users, seed, items), Path("sim") / category)
    check_clean(folder)
    actions, searches, catalogue = folder.interactions, folder.searches, folder.items
    assert actions["user_id"].nunique() == users
    assert len(catalogue) == items
    assert catalogue["item_id"].str.fullmatch(r"\d{6}").all()
    assert catalogue["item_id"].is_unique
    last = actions.groupby("user_id").last()
    assert (last["action"] == "purchase").all()
    assert (searches["timestamp"] < searches["user_id"].map(last["timestamp"])).all()
    assert (_length_after_filter(actions) >= 2).all()
    pages = searches["results"].str.split()
    assert (pages.str.len() <= 8).all()
    assert pages.map(lambda page: len(set(page)) == len(page)).all()
    assert set(pages.explode().dropna()) <= set(catalogue["item_id"])
    # nothing is clicked, bought or shown before it is on sale
    on_sale = catalogue.set_index("item_id")["available_from"]
    assert (actions["item_id"].map(on_sale) <= actions["timestamp"]).all()
    shown = searches.assign(results=pages).explode("results").dropna()
    assert (shown["results"].map(on_sale) <= shown["timestamp"]).all()
    assert (actions["timestamp"] % 1 == 0).all()


def _length_after_filter(actions: pd.DataFrame) -> pd.Series:
    """By loops, on purpose another way than the simulator's own."""
    bought = {(row.user_id, row.item_id) for row in actions.itertuples() if row.action == "purchase"}
    counted = [row.action == "purchase" or (row.user_id, row.item_id) not in bought for row in actions.itertuples()]
    return actions[counted].groupby("user_id").size().reindex(actions["user_id"].unique(), fill_value=0)


def test_keep_cuts_filters_and_leaves_out() -> None:
    # user 0: click 5, click 6, buy 5, click 7 (cut): length 2 without the click on 5; user 1: click 5, buy 5: length 1;
    # user 2: never buys; user 3: click 9 before, buys 8 twice: length 3
    user = np.array([3, 0, 0, 0, 0, 1, 1, 2, 3, 3])
    time = np.array([1, 4, 1, 2, 9, 1, 2, 1, 2, 3])
    item = np.array([9, 5, 5, 6, 7, 5, 5, 5, 8, 8])
    purchase = np.array([0, 1, 0, 0, 0, 0, 1, 0, 1, 1], dtype=bool)
    search_user, search_time = np.array([0, 0, 0, 1, 3]), np.array([3, 0, 4, 0, 1])
    zero = np.zeros(5, dtype=np.int64)
    shown = np.zeros((5, 8), dtype=np.int64)
    log = Log(search_user, search_time, zero, zero, zero, zero, zero > 0, shown, user, time, item, purchase)
    kept = keep(log, users=4)
    assert kept.length.tolist() == [2, 0, 0, 3]
    assert kept.actions.tolist() == [2, 3, 1, 0, 8, 9]
    assert kept.searches.tolist() == [1, 0, 4]  # a search at the time of the final purchase is gone


def test_table_1_is_the_default() -> None:
    sizes = {name: SimulationSettings(name, CATEGORIES[name].users, 1).resolved()[1:] for name in CATEGORIES}
    assert sizes["luggage_bags"] == (61_550, 12.41)
    assert sizes["footwear"] == (380_385, 11.29)
    assert sizes["accessories_jewelry"] == (524_433, 12.98)
    assert sizes["clothing"] == (1_386_910, 13.25)
    assert SimulationSettings("footwear", 2000, 1).resolved()[1] == 12_024  # 2000 * 380385 / 63273
    # C2: fashion is 55 % longer than electronics, 81 % longer than toys
    assert sizes["electronics"][1] == pytest.approx(8.32, abs=0.01)
    assert sizes["toys"][1] == pytest.approx(7.13, abs=0.01)


def test_footwear_follows_table_1(footwear: AtomicFolder) -> None:
    found = measure(footwear)
    assert found.users == 700
    assert found.interactions == _length_after_filter(footwear.interactions).sum()
    assert found.mean_length == pytest.approx(11.29, rel=0.04)
    assert found.per_item == pytest.approx(1.88, rel=0.04)


def test_mean_length_flag_is_met_or_refused() -> None:
    folder = simulate_category(
        SimulationSettings("footwear", 400, 1, items=2000, mean_length=7.0), Path("sim/footwear")
    )
    assert measure(folder).mean_length == pytest.approx(7.0, rel=0.05)
    with pytest.raises(UserError, match="--mean_length 1000"):
        simulate_category(SimulationSettings("footwear", 20, 1, items=300, mean_length=1000), Path("sim/footwear"))


def test_ids_and_row_order_say_nothing(footwear: AtomicFolder) -> None:
    items = footwear.items
    count = footwear.interactions["item_id"].value_counts().reindex(items["item_id"], fill_value=0).to_numpy()
    number = items["item_id"].astype(int)
    for order in (number, pd.Series(np.arange(len(items)))):
        for hidden in (count, items["available_from"], items["price"], items["category"].astype("category").cat.codes):
            rho = order.rank().corr(pd.Series(np.asarray(hidden)).rank())
            assert abs(rho) < 0.06  # 4 standard errors at 4,200 items
    neighbours = items["brand"].to_numpy()
    assert (neighbours[1:] == neighbours[:-1]).mean() < 0.2  # families lie apart


def test_item_ids_grow_to_seven_digits() -> None:
    rng = np.random.default_rng(0)
    assert {len(token) for token in item_ids(500_000, rng)} == {6}
    many = item_ids(500_001, rng)
    assert {len(token) for token in many} == {7}
    assert len(set(many)) == 500_001


def test_titles_are_heaps_of_7_to_14_words(footwear: AtomicFolder) -> None:
    items = footwear.items
    words = items["title"].str.split()
    assert words.str.len().between(7, 14).all()
    named = np.array([color in title for color, title in zip(items["color"], items["title"], strict=True)])
    assert 0.4 < named.mean() < 0.9  # a title does not always say the color
    first_is_brand = words.str[0] == items["brand"]
    assert 0.3 < first_is_brand.mean() < 0.95  # brands have habits of word order
    assert not items["title"].str.contains(r"\s\s|^\s|\s$|\t|\n").any()


def test_tables_name_only_what_exists() -> None:
    for category in CATEGORIES.values():
        names = {kind.name for kind in category.types}
        audiences = {audience for audience, _ in category.audiences}
        assert audiences <= set(AUDIENCES)
        assert len(names) == len(category.types)
        for kind in category.types:
            assert kind.season in SEASONS
            assert set(kind.occasions) <= set(OCCASIONS)
            assert kind.sizes in SIZES
            assert kind.companion in names | {""}
            assert not kind.audiences or set(kind.audiences) & audiences
            assert len(set(kind.features)) >= 2
            assert len(kind.features) <= 8  # the shop numbers features below its brands


def test_folder_of_another_dataset_is_refused(tmp_path: Path) -> None:
    flags = ("--category", "toys", "--users", "5", "--items", "300", "--out", str(tmp_path / "toys"))
    _run(*flags)
    _run(*flags)  # its own files may be replaced
    (tmp_path / "toys" / "README.md").write_text("my own data")
    with pytest.raises(UserError, match="did not make"):
        _run(*flags)
    (tmp_path / "office").mkdir()
    (tmp_path / "office" / "other.inter").write_text("x")
    with pytest.raises(UserError, match=r"other\.inter"):
        _run(*flags[:-1], str(tmp_path / "office"))
    assert [p.name for p in (tmp_path / "office").iterdir()] == ["other.inter"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (SimulationSettings("shoes", 10, 1), "--category shoes"),
        (SimulationSettings("toys", 0, 1), "--users 0"),
        (SimulationSettings("toys", 10, -1), "--seed -1"),
        (SimulationSettings("toys", 10, 1, items=20), "--items 20"),
    ],
)
def test_bad_settings_are_one_line(flags: SimulationSettings, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        flags.resolved()
    assert "\n" not in str(error.value)
