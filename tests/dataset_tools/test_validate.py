"""`validate` lists every kind of problem once at least, and its status says clean or not."""

from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from recbole_llmfashion.cli.datasets import register
from recbole_llmfashion.dataset_tools.validate import validate

INTER = ["user_id:token\titem_id:token\taction:token\ttimestamp:float", "u\ta\tclick\t1", "u\tb\tpurchase\t2"]
ITEM = [
    "item_id:token\ttitle:token\tbrand:token\tcolor:token\tsize:token\tcategory:token",
    "a\tA" + "\t" * 4,
    "b\tB" + "\t" * 4,
]


def make(folder: Path, inter: list[str] = INTER, item: list[str] = ITEM) -> Path:
    folder.mkdir()
    (folder / f"{folder.name}.inter").write_text("\n".join(inter) + "\n")
    (folder / f"{folder.name}.item").write_text("\n".join(item) + "\n")
    return folder


def run(folder: Path) -> Result:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, ["validate", str(folder)])


def test_clean_dataset(tmp_path: Path) -> None:
    result = run(make(tmp_path / "d"))
    assert result.exit_code == 0
    filled = "items with an attribute: brand 0.0%, color 0.0%, size 0.0%, category 0.0%"
    for text in ("users: 1 (0 unusable)", "items: 2", filled, "1 clicks, 1 purchases", "searches: 0", ": clean"):
        assert text in result.output


def test_all_kinds_of_errors(tmp_path: Path) -> None:
    inter = [*INTER, "u\tz\tpurchase\t3", "u\ta\tlook\t3", "u\ta\tclick\tnan", "\ta\tclick\t3"]
    item = [*ITEM, "c\t" + "\t" * 4, "a\tagain" + "\t" * 4]
    found = validate(make(tmp_path / "d", inter, item))
    places = {(p.file, p.line, p.column) for p in found.problems}
    assert places == {
        ("d.inter", 4, "item_id"),
        ("d.inter", 5, "action"),
        ("d.inter", 6, "timestamp"),
        ("d.inter", 7, "user_id"),
        ("d.item", 4, "title"),
        ("d.item", 5, "item_id"),
    }
    assert found.unlisted == 0 and found.counts == []
    result = run(tmp_path / "d")
    assert (
        result.exit_code == 2
        and "d.inter, line 5, column action: expected click or purchase, found 'look'" in result.output
    )


def test_limit_keeps_the_first_error_of_each_kind(tmp_path: Path) -> None:
    bad = ["\ta\tclick\t1", "u\tz\tclick\t1", "u\ta\tlook\t1", "u\ta\tclick\tx"]
    found = validate(make(tmp_path / "d", [*INTER, *(row for row in bad for _ in range(50))]), limit=5)
    assert len(found.problems) == 5 and found.unlisted == 4 * 50 - 5
    assert {p.column for p in found.problems} == {"user_id", "item_id", "action", "timestamp"}


def test_errors_of_several_files(tmp_path: Path) -> None:
    found = validate(make(tmp_path / "d", [INTER[0].replace("\t", ",")], [*ITEM, "c\t" + "\t" * 4]))
    assert [(p.file, p.line) for p in found.problems] == [("d.inter", 1), ("d.item", 4)]


def test_rows_out_of_order(tmp_path: Path) -> None:
    result = run(make(tmp_path / "d", [*INTER, "v\ta\tclick\t1", "u\ta\tclick\t0"]))
    assert result.exit_code == 2
    assert "users: 2 (1 unusable)" in result.output
    assert "d.inter, line 5, column user_id: expected one user's rows together" in result.output
    assert "recbole-llmfashion clean" in result.output


def test_missing_folder(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 2 and "no such folder" in result.output


def test_the_number_of_problems_is_that_of_the_rows(tmp_path: Path) -> None:
    cells = run(make(tmp_path / "cells", [*INTER, *["u\tz\tpurchase\t3"] * 1866]))
    assert cells.stdout.splitlines()[-2:] == ["and 1,863 more", f"{tmp_path}/cells: 1,866 problems"]
    fields = run(make(tmp_path / "fields", [*INTER, *["u\ta\tpurchase"] * 12]))
    assert fields.stdout.splitlines()[-2:] == ["and 9 more", f"{tmp_path}/fields: 12 problems"]
    order = run(make(tmp_path / "order", [*INTER, *["u\ta\tclick\t0", "u\ta\tpurchase\t3"] * 5]))
    assert f"{tmp_path}/order: at least 1 problems; " in order.stdout


def test_what_clean_cannot_fix(tmp_path: Path) -> None:
    none = run(make(tmp_path / "none", INTER[:1]))
    assert none.stdout.splitlines()[-1] == f"{tmp_path}/none: at least 1 problems; add interactions"
    clicks = run(make(tmp_path / "clicks", [*INTER[:2], "u\tb\tclick\t2"]))
    advice = "clean cannot fix them, no user would be left: check the action column or add data"
    assert clicks.stdout.splitlines()[-1] == f"{tmp_path}/clicks: at least 1 problems; {advice}"


def test_a_file_in_place_of_its_folder(tmp_path: Path) -> None:
    result = run(make(tmp_path / "d") / "d.inter")
    assert result.exit_code == 2
    assert "d.inter: expected a folder, found a file" in result.output
    assert result.output.splitlines()[-1].endswith(f": 1 problems; give the folder {tmp_path}/d")
