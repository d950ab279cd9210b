"""`analyze`: what a reader gets, and what is refused."""

import json
import re
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from recbole_llmfashion.cli import analyze as command
from recbole_llmfashion.cli.main import app as tools
from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.atomic.writer import write_folder
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.analysis.document import assemble
from recbole_llmfashion.study.analysis.measure import measure
from recbole_llmfashion.study.report import write as report
from tests.helpers import fakes

app = typer.Typer()
command.register(app)
app.callback()(lambda: None)  # with one command alone typer drops its name
REAL_COLUMNS = {
    "--user": "user_id",
    "--item": "item_id",
    "--time": "order",
    "--title": "title",
    "--brand": "brand",
}


def analyze(*words):
    result = CliRunner().invoke(app, ["analyze", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def table(document, name):
    return next(table for table in document["tables"] if table["name"] == name)


def rows(document, name):
    return {row["label"]: row["reason"] or row["cells"] for row in table(document, name)["rows"]}


def measured(path, **files):
    return measure(read_folder(fakes.write_tiny(path, **files)))


@pytest.fixture
def no_drawing(monkeypatch):
    """Two of the files, the slow ones left out."""

    def write(folder, document):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(document.as_json()))
        (folder / "table.md").write_text("")

    monkeypatch.setattr(report, "write", write)


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """Simulated footwear and toys, 200 users each."""
    root = tmp_path_factory.mktemp("shops")
    for name in ("footwear", "toys"):
        words = ["simulate", "--category", name, "--users", "200", "--seed", "1", "--out", str(root / name)]
        assert CliRunner().invoke(tools, words).exit_code == 0
    return root


def test_files_and_terminal(tmp_path, shops):
    out = tmp_path / "out"
    result = analyze(f"{shops}/footwear/", "--output", out)
    assert result.exit_code == 0
    document = json.loads((out / "results.json").read_text())
    assert (document["study"], document["dataset"]) == ("analyze", "footwear")
    assert document["command"] == f"recbole-llmfashion analyze {shops}/footwear --output {out}"
    assert document["data"]["footwear"]["users"] == 200
    names = {figure["name"] for figure in document["figures"]}
    assert names == {"c1_new_items", "c2_lengths", "c3_months_footwear", "c3_holidays_footwear"}
    assert all((out / f"{name}.png").is_file() for name in names)
    assert (out / "report.html").is_file()
    assert "footwear in the paper" in result.output and f"written: {out}" in result.output


def test_what_was_planted_is_found(shops):
    found = [measure(read_folder(shops / name)) for name in ("footwear", "toys")]
    document = assemble(found, ["toys"], "x").as_json()
    pair = "footwear against toys"
    own = rows(document, "c1_contrast")[pair]
    assert 4 < own["own"] < 9 and own["paper"] == 6.7
    assert 0.3 < rows(document, "c2_contrast")[pair]["longer"] < 1
    assert rows(document, "c4_contrast")[pair]["unique"] > 1.3
    assert rows(document, "c4_contrast")[pair]["paper"] == 2.38
    season = rows(document, "c3_pull")["footwear, season"]
    assert season["months"] > 2 * season["months_baseline"]
    ratio = rows(document, "table1_ratio")
    assert list(ratio) == ["footwear"] and ratio["footwear"]["users"] == pytest.approx(200 / 63273)
    assert rows(document, "table1")["footwear in the paper"]["interactions"] == 714628


def test_shuffled_items_show_no_pull_of_months(tmp_path, shops):
    folder = read_folder(shops / "footwear")
    shuffled = folder.interactions["item_id"].sample(frac=1, random_state=4).to_numpy()
    write_folder(
        type(folder)(
            "footwear",
            tmp_path / "footwear",
            folder.interactions.assign(item_id=shuffled),
            folder.searches,
            folder.items,
        )
    )
    document = assemble([measure(read_folder(tmp_path / "footwear"))], [], "x").as_json()
    season = rows(document, "c3_pull")["footwear, season"]
    assert season["months"] < 1.5 * season["months_baseline"]


def test_tables_by_hand(tmp_path):
    """The same log under three names; toys has half the users' searches, and no dated month for C1."""
    one, contrast = measured(tmp_path, name="bags"), measured(tmp_path, name="toys", search=short_searches())
    document = assemble([one, contrast], ["toys"], "x").as_json()
    assert rows(document, "table1")["bags"] == {
        "users": 3,
        "items": 6,
        "interactions": 12,
        "length": 4.0,
        "per_item": 2.0,
        "density": 12 / 18,
        "actions": 12,
        "searches": 5,
    }
    assert rows(document, "c2_contrast") == {"bags against toys": {"longer": 0.0, "paper": pytest.approx(0.81)}}
    queries = rows(document, "c4_contrast")["bags against toys"]
    assert queries == {"ratio": 2.0, "own": 2.0, "a_user": pytest.approx(5.0), "unique": 4.0, "paper": 2.38}
    reason = "not applicable: the log covers no whole month (bags)"
    assert rows(document, "c1_contrast") == {"bags against toys": reason}
    assert not any(found["name"] == "table1_ratio" for found in document["tables"])
    assert [figure["name"] for figure in document["figures"]] == ["c2_lengths"]


def short_searches():
    """The first search alone."""
    return "\n".join(fakes.SEARCH.splitlines()[:2]) + "\n"


def test_a_contrast_of_ones_own_has_no_number_of_the_paper(tmp_path):
    found = [measured(tmp_path, name=name) for name in ("bags", "pens")]
    document = assemble(found, ["pens"], "x").as_json()
    assert rows(document, "c2_contrast") == {"bags against pens": {"longer": 0.0}}
    assert not any("No ratios" in note for note in document["notes"])


def test_without_contrasts_there_are_no_ratios(tmp_path):
    document = assemble([measured(tmp_path)], [], "x").as_json()
    assert not any("contrast" in found["name"] for found in document["tables"])
    assert any("No ratios" in note for note in document["notes"])


def test_a_contrast_without_searches_says_whose(tmp_path):
    found = [measured(tmp_path, name="bags"), measured(tmp_path, name="toys", search="")]
    document = assemble(found, ["toys"], "x").as_json()
    assert rows(document, "c4_contrast") == {"bags against toys": "not applicable: no searches (toys)"}


def test_contrasts_are_the_papers_or_those_named(tmp_path, no_drawing):
    folders = [fakes.write_tiny(tmp_path, name=name) for name in ("toys", "bags", "pens")]
    for words, expected in (
        ([], ["bags against toys", "pens against toys"]),
        (["--contrast", "pens"], ["toys against pens", "bags against pens"]),
        (["--contrast", "pens", "--contrast", "toys"], ["bags against pens", "bags against toys"]),
    ):
        analyze(*folders, "--output", tmp_path / "out", *words)
        document = json.loads((tmp_path / "out" / "results.json").read_text())
        assert list(rows(document, "c2_contrast")) == expected
        assert document["command"].endswith(" ".join([f"--output {tmp_path}/out", *words]))


def test_figures_of_a_name_that_is_no_file_name(shops):
    found = measure(read_folder(shops / "footwear"))
    document = assemble([replace(found, name=name) for name in ("my shoes", "my.shoes", "../shoes")], [], "x")
    names = [figure.name for figure in document.figures]
    assert len(set(names)) == len(names) == 8
    assert all(re.fullmatch(r"[a-z0-9][A-Za-z0-9_-]*", name) for name in names)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{root}/nowhere"], "no such folder"),
        (["{root}/tiny", "{root}/other/tiny"], "are both named 'tiny'; rename or leave out one"),
        (["{root}/tiny", "{root}/tiny/"], "are both named 'tiny'"),
        (["{root}/tiny", "--contrast", "toys"], "--contrast: 'toys' is none of the given folders: tiny"),
        (["{root}/tiny", "--output", "{root}/file"], "--output: expected a folder, found the file"),
        (["{root}/unclean"], "clean"),
    ],
)
def test_mistakes_are_one_line(tmp_path, words, message):
    fakes.write_tiny(tmp_path)
    (tmp_path / "other" / "tiny").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    fakes.write_tiny(tmp_path, inter=fakes.INTER + "u3\t11\tclick\t1701000009\n", name="unclean")
    with pytest.raises(UserError, match=message) as raised:
        analyze("--output", tmp_path / "out", *(word.format(root=tmp_path) for word in words))
    assert "\n" not in str(raised.value)


def test_order_only_data_without_searches(tmp_path, no_drawing):
    source = fakes.real_data("amazon_office")
    words = ["convert", "table", "--interactions", f"{source}/interactions.csv", "--items", f"{source}/items.csv"]
    words += [word for pair in REAL_COLUMNS.items() for word in pair] + ["--out", str(tmp_path / "amazon_office")]
    assert CliRunner().invoke(tools, words).exit_code == 0
    analyze(tmp_path / "amazon_office", "--output", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert rows(document, "c1_turnover") == {"amazon_office": "not applicable: no dates"}
    assert rows(document, "c3_pull") == {"amazon_office": "not applicable: no dates"}
    assert rows(document, "c4_queries") == {"amazon_office": "not applicable: no searches"}
    assert rows(document, "c2_lengths")["amazon_office"]["all_clicks"] == pytest.approx(22447 / 3231)
    assert [figure["name"] for figure in document["figures"]] == ["c2_lengths"]
