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
from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256, write_folder
from recbole_llmfashion.dataset_tools.simulate import simulation
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


def test_table1_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[SimulationSettings] = []

    def simulated(settings: SimulationSettings, path: Path, **kwargs: bool) -> AtomicFolder:
        requests.append(settings)
        return simulate_category(SimulationSettings("toys", 20, 7, 300), path)

    monkeypatch.setattr(simulation, "simulate_category", simulated)
    _run("--category", "clothing", "--table1", "--out", str(tmp_path / "toys"))
    assert requests[0].resolved()[1:] == (1_386_910, 13.25) and requests[0].users == 274_285
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


@pytest.mark.slow
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


def test_mean_length() -> None:
    folder = simulate_category(
        SimulationSettings("footwear", 400, 1, items=2000, mean_length=7.0), Path("sim/footwear")
    )
    assert measure(folder).mean_length == pytest.approx(7.0, rel=0.05)
    with pytest.raises(UserError, match=r"--mean_length: expected at most .* for footwear, found 1000"):
        simulate_category(SimulationSettings("footwear", 20, 1, items=300, mean_length=1000), Path("sim/footwear"))


def test_ids_and_row_order_carry_no_information(footwear: AtomicFolder) -> None:
    items = footwear.items
    count = footwear.interactions["item_id"].value_counts().reindex(items["item_id"], fill_value=0).to_numpy()
    number = items["item_id"].astype(int)
    for order in (number, pd.Series(np.arange(len(items)))):
        for hidden in (count, items["available_from"], items["price"], items["category"].astype("category").cat.codes):
            rho = order.rank().corr(pd.Series(np.asarray(hidden)).rank())
            assert abs(rho) < 0.06  # 4 standard errors at 4,200 items
    neighbours = items["brand"].to_numpy()
    assert (neighbours[1:] == neighbours[:-1]).mean() < 0.2  # families lie apart


def test_titles_have_7_to_14_words(footwear: AtomicFolder) -> None:
    items = footwear.items
    words = items["title"].str.split()
    assert words.str.len().between(7, 14).all()
    named = np.array([color in title for color, title in zip(items["color"], items["title"], strict=True)])
    assert 0.4 < named.mean() < 0.9  # a title does not always say the color
    first_is_brand = words.str[0] == items["brand"]
    assert 0.3 < first_is_brand.mean() < 0.95  # brands have habits of word order
    assert not items["title"].str.contains(r"\s\s|^\s|\s$|\t|\n").any()


def test_folder_with_other_files(tmp_path: Path) -> None:
    flags = ("--category", "toys", "--users", "5", "--items", "300", "--out", str(tmp_path / "toys"))
    _run(*flags)
    _run(*flags)  # its own files may be replaced
    (tmp_path / "toys" / "README.md").write_text("my own data")
    with pytest.raises(UserError, match="did not write"):
        _run(*flags)
    (tmp_path / "office").mkdir()
    (tmp_path / "office" / "other.inter").write_text("x")
    with pytest.raises(UserError, match=r"other\.inter"):
        _run(*flags[:-1], str(tmp_path / "office"))
    assert [p.name for p in (tmp_path / "office").iterdir()] == ["other.inter"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (SimulationSettings("shoes", 10, 1), "--category: expected one of .*, found 'shoes'"),
        (SimulationSettings("toys", 0, 1), "--users: expected at least 1, found 0"),
        (SimulationSettings("toys", 10, -1), "--seed: expected at least 0, found -1"),
        (SimulationSettings("toys", 10, 1, items=20), "--items: expected a number from 300 to 9000000, found 20"),
    ],
)
def test_bad_settings(flags: SimulationSettings, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        flags.resolved()
    assert "\n" not in str(error.value)
