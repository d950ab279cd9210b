"""Cleaning by hand-made logs, and as a property: idempotent, accepted by the check, nothing kept that must go."""

import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from recbole_llmfashion.cli.datasets import register
from recbole_llmfashion.cli.options import run_app
from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256, write_folder
from recbole_llmfashion.dataset_tools.clean import clean
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files import changes

ITEMS = pd.DataFrame(
    {"item_id": list("abcd"), "title": list("ABCD"), "brand": "", "color": "", "size": "", "category": ""}
)


def log(rows: list[tuple], searches: list[tuple] = [], path: Path = Path("d")) -> AtomicFolder:  # noqa: B006
    """Rows are (user, item, "c" or "p", time), searches (user, time)."""
    inter = pd.DataFrame(rows, columns=["user_id", "item_id", "action", "timestamp"])
    inter["action"] = inter["action"].map({"c": "click", "p": "purchase"})
    search = pd.DataFrame(searches, columns=["user_id", "timestamp"]).assign(query="q", results="")
    floats = {"timestamp": "float64"}
    return AtomicFolder(path.name, path, inter.astype(floats), search.astype(floats), ITEMS)


def test_clean() -> None:
    rows = [
        ("u2", "a", "c", 5),
        ("u1", "a", "p", 3),
        ("u2", "b", "p", 5),  # ties stay in file order: this purchase follows the click above
        ("u1", "b", "c", 1),
        ("u3", "a", "c", 1),
        ("u3", "b", "c", 2),  # no purchase
        ("u4", "a", "p", 1),
        ("u4", "b", "c", 2),  # one action up to the final purchase
        ("u2", "c", "c", 5),  # after the final purchase, at its very time
        ("u1", "c", "c", 9),
    ]
    searches = [("u1", 3), ("u1", 2), ("u1", 3.5), ("u3", 1), ("u9", 1), ("u2", 0)]
    cleaned, counts = clean(log(rows, searches))
    kept = cleaned.interactions[["user_id", "item_id", "timestamp"]].values.tolist()
    assert kept == [["u2", "a", 5.0], ["u2", "b", 5.0], ["u1", "b", 1.0], ["u1", "a", 3.0]]
    assert cleaned.searches[["user_id", "timestamp"]].values.tolist() == [["u2", 0.0], ["u1", 2.0], ["u1", 3.0]]
    assert (counts.users, counts.interactions, counts.searches) == (2, 4, 3)
    assert (counts.users_without_purchase, counts.users_too_short) == (1, 1)
    assert (counts.actions_after_purchase, counts.searches_after_purchase) == (2, 1)
    assert counts.searches_of_left_out_users == 2
    # kept rows were u2 a, u1 a, u2 b, u1 b: three stand elsewhere; of the searches, u1 3, u1 2, u2 0, two do
    assert counts.moved == 3 + 2
    check_clean(cleaned)


def test_a_clean_log_is_not_changed() -> None:
    before = log([("u1", "a", "c", 1), ("u1", "b", "p", 1), ("u0", "b", "p", 0), ("u0", "b", "p", 7)], [("u0", 7)])
    after, counts = clean(before)
    pd.testing.assert_frame_equal(after.interactions, before.interactions)
    pd.testing.assert_frame_equal(after.searches, before.searches)
    assert counts.moved == counts.actions_after_purchase == counts.searches_of_left_out_users == 0


@pytest.mark.parametrize("rows", [[], [("u", "a", "p", 1)], [("u", "a", "c", 1), ("u", "b", "c", 1)]])
def test_no_usable_user(rows: list[tuple]) -> None:
    with pytest.raises(UserError, match="no usable user"):
        clean(log(rows))


USERS, TIMES = st.sampled_from(["u", "v", "w"]), st.integers(0, 4)
ROWS = st.lists(st.tuples(USERS, st.sampled_from("abcd"), st.sampled_from("cp"), TIMES), max_size=14)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, searches=st.lists(st.tuples(USERS, TIMES), max_size=6))
def test_clean_is_idempotent_and_its_result_is_clean(rows: list[tuple], searches: list[tuple]) -> None:
    rows = [*rows, ("x", "a", "p", 0), ("x", "b", "p", 1)]
    once, counts = clean(log(rows, searches))
    check_clean(once)
    twice, again = clean(once)
    pd.testing.assert_frame_equal(once.interactions, twice.interactions)
    pd.testing.assert_frame_equal(once.searches, twice.searches)
    assert (again.moved, again.users, again.interactions) == (0, counts.users, counts.interactions)
    # a slow second opinion, user by user
    for user in {row[0] for row in rows}:
        mine = sorted((row for row in rows if row[0] == user), key=lambda row: row[3])
        last = max((n for n, row in enumerate(mine) if row[2] == "p"), default=-1)
        expected = mine[: last + 1] if last >= 1 else []
        got = once.interactions[once.interactions["user_id"] == user]
        assert got["item_id"].tolist() == [row[1] for row in expected]
        end = mine[last][3]
        times = sorted(t for u, t in searches if u == user and t <= end) if expected else []
        assert once.searches[once.searches["user_id"] == user]["timestamp"].tolist() == times


def test_the_command_cleans_in_place_and_to_another_name() -> None:
    app = typer.Typer()
    register(app)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "d"
        write_folder(log([("u", "a", "p", 2), ("u", "b", "c", 1), ("v", "a", "c", 1)], [("v", 1)], path))
        with pytest.raises(UserError, match="clean"):
            check_clean(read_folder(path))
        result = CliRunner().invoke(app, ["clean", str(path), "--out", str(Path(place) / "e")])
        assert result.exit_code == 0 and "1 without a purchase" in result.output
        check_clean(read_folder(Path(place) / "e"))
        CliRunner().invoke(app, ["clean", str(path)])
        assert read_folder(path).interactions["item_id"].tolist() == ["b", "a"]
        assert not (path / "d.search").exists()
        digest = folder_sha256(path, "d")
        assert CliRunner().invoke(app, ["clean", str(path)]).exit_code == 0
        assert folder_sha256(path, "d") == digest


def test_cleaning_does_not_change_cells(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    path = tmp_path / "d"
    write_folder(log([("u", "a", "c", 1), ("u", "b", "p", 2)], path=path))
    (path / "d.inter").write_text((path / "d.inter").read_text().replace("click", "look"))
    before = folder_sha256(path, "d")
    result = CliRunner().invoke(app, ["clean", str(path)])
    assert isinstance(result.exception, UserError) and "line 2, column action" in str(result.exception)
    assert folder_sha256(path, "d") == before


def test_the_names_of_columns_go_with_a_cleaned_dataset(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    path = tmp_path / "d"
    write_folder(log([("u", "a", "c", 1), ("u", "b", "p", 2)], path=path))
    for file in (path / "d.inter", path / "d.item"):
        file.write_text(file.read_text().replace("item_id", "iid"))
    (path / "d.yaml").write_text("ITEM_ID_FIELD: iid\n")
    assert CliRunner().invoke(app, ["clean", str(path), "--out", str(tmp_path / "e")]).exit_code == 0
    assert (tmp_path / "e/e.yaml").read_text() == "ITEM_ID_FIELD: iid\n"
    assert CliRunner().invoke(app, ["validate", str(tmp_path / "e")]).exit_code == 0


def test_a_change_before_the_lock_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    register(app)
    path, own_folder = tmp_path / "d", changes.own_folder
    write_folder(log([("u", "b", "p", 2), ("u", "a", "c", 1)], path=path))

    def own_after_a_writer(folder: Path, option: str = "") -> AbstractContextManager[None]:
        lines = (path / "d.item").read_text().splitlines()
        (path / "d.item").write_text(
            "\n".join([f"{lines[0]}\tmaterial:token", *(f"{x}\tsuede" for x in lines[1:]), ""])
        )
        return own_folder(folder, option)

    monkeypatch.setattr(changes, "own_folder", own_after_a_writer)
    assert CliRunner().invoke(app, ["clean", str(path)]).exit_code == 0
    cleaned = read_folder(path)
    assert cleaned.interactions["item_id"].tolist() == ["a", "b"]
    assert cleaned.items["material"].tolist() == ["suede", "suede", "suede", "suede"]


def test_a_dataset_that_is_not_there_makes_no_folder(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    for words in ([], ["--out", str(tmp_path / "e")]):
        result = CliRunner().invoke(app, ["clean", str(tmp_path / "d"), *words])
        assert str(result.exception).startswith("d.inter: expected this file in ") and "no such folder" in str(
            result.exception
        )
        assert list(tmp_path.iterdir()) == []


def test_no_other_files_are_overwritten(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    for name, item in (("d", "b"), ("e", "c")):
        write_folder(log([("u", "a", "c", 1), ("u", item, "p", 2)], path=tmp_path / name))
    before = folder_sha256(tmp_path / "e", "e")
    result = CliRunner().invoke(app, ["clean", str(tmp_path / "d"), "--out", str(tmp_path / "e")])
    assert str(result.exception) == (
        f"--out: expected a new or empty folder, found e.inter in {tmp_path}/e; choose another folder"
    )
    assert folder_sha256(tmp_path / "e", "e") == before
    for _ in range(2):  # the same command again
        assert CliRunner().invoke(app, ["clean", str(tmp_path / "d"), "--out", str(tmp_path / "f")]).exit_code == 0
    for words in (["--out", ""], ["--out="]):
        with pytest.raises(UserError, match=r"^--out: expected a folder, found an empty text; name a folder$"):
            run_app(app, ["clean", str(tmp_path / "d"), *words], "test")
