"""A dataset with its own names for users, items and times: the reader, `validate` and `clean`, without RecBole."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.config import keys
from recbole_llmfashion.config.layers import dataset_field_keys
from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.folder import AtomicError, check_clean, item_columns, read_folder
from recbole_llmfashion.data.atomic.writer import write_folder
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.report import write
from recbole_llmfashion.study.report.document import Document
from tests.helpers.fakes import INTER, ITEM, OWN_FIELDS, SEARCH, own_tiny, with_own_fields, write_tiny

NAMES = FieldNames.of(OWN_FIELDS)
OPTIONS = [f"--{key}={name}" for key, name in OWN_FIELDS.items()]


def test_the_frames_are_the_same(tmp_path: Path) -> None:
    plain, own = read_folder(write_tiny(tmp_path)), read_folder(own_tiny(tmp_path / "own"), names=NAMES)
    for frame in ("interactions", "searches", "items"):
        pd.testing.assert_frame_equal(getattr(plain, frame), getattr(own, frame))
    check_clean(own)
    assert item_columns(tmp_path / "own/tiny", "tiny", NAMES) == item_columns(tmp_path / "tiny", "tiny")


def test_the_files_keep_their_names_when_they_are_written(tmp_path: Path) -> None:
    folder = own_tiny(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_folder(read_folder(folder, names=NAMES))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert before["tiny.inter"].startswith(b"uid:token\tiid:token\taction:token\ttime:float\n")


def test_two_names_may_change_places(tmp_path: Path) -> None:
    item = ITEM.replace("item_id:", "user_id:")
    header = "item_id:token\tuser_id:token\taction:token\ttimestamp:float\n"
    folder = write_tiny(tmp_path, header + INTER.partition("\n")[2], SEARCH.replace("user_id:", "item_id:"), item)
    found = read_folder(folder, names=FieldNames(user="item_id", item="user_id"))
    pd.testing.assert_frame_equal(found.interactions, read_folder(write_tiny(tmp_path / "plain")).interactions)


def test_without_a_column_of_actions_every_row_is_a_purchase(tmp_path: Path) -> None:
    rows = [line.split("\t") for line in with_own_fields(INTER).splitlines()]
    inter = "".join("\t".join([user, item, time]) + "\n" for user, item, _, time in rows)
    assert inter.startswith("uid:token\tiid:token\ttime:float\n")
    found = read_folder(write_tiny(tmp_path, inter, with_own_fields(SEARCH), with_own_fields(ITEM)), names=NAMES)
    assert found.interactions.columns.tolist() == ["user_id", "item_id", "action", "timestamp"]
    assert set(found.interactions["action"]) == {"purchase"} and len(found.interactions) == 12


# Files with own names: (which, old, new, line, column, what the line says).
WRONG = [
    (0, "uid:", "user:", 1, "user", "one of the columns uid (key USER_ID_FIELD), iid, action, time, found"),
    (0, "iid:token", "iib:token", 1, "iib", "the column iid (key ITEM_ID_FIELD), found the unknown column 'iib:token'"),
    (0, "time:", "timestamp:", 1, "timestamp", "the column time (key TIME_FIELD), found the unknown column"),
    (0, "uid:", "user_id:", 1, "user_id", "the column uid (key USER_ID_FIELD), found the unknown column"),
    (0, "uid:token\t", "", 1, "uid", "a column uid:token, the name that the key USER_ID_FIELD gives, found"),
    (0, "time:float", "time:token", 1, "time", "the header time:float"),
    (0, "u1\t11", "\t11", 2, "uid", "an id that is not empty"),
    (0, "u1\t11", "u1\t99", 2, "iid", "an item id of tiny.item"),
    (0, "1701000000", "yesterday", 2, "time", "a number of seconds"),
    (1, "time:", "when:", 1, "when", "time (key TIME_FIELD)"),
    (1, "u1\t1700999999", "\t1700999999", 2, "uid", "an id that is not empty"),
    (2, "iid:", "sku:", 1, "iid", "a column iid:token, the name that the key ITEM_ID_FIELD gives, found only 'sku'"),
    (
        2,
        "\tbrand:",
        "\titem_id:token\tbrand:",
        1,
        "item_id",
        "the column iid (key ITEM_ID_FIELD), found 'item_id:token'",
    ),
    (2, "\n11\t", "\n16\t", 3, "iid", "each item id once"),
]


@pytest.mark.parametrize(("which", "old", "new", "line", "column", "text"), WRONG)
def test_an_error_names_file_column_and_key(
    tmp_path: Path, which: int, old: str, new: str, line: int, column: str, text: str
) -> None:
    files = [with_own_fields(one) for one in (INTER, SEARCH, ITEM)]
    assert old in files[which]
    files[which] = files[which].replace(old, new, 1)
    folder = write_tiny(tmp_path, *files)
    with pytest.raises(AtomicError) as raised:
        read_folder(folder, names=NAMES)
    name = f"tiny.{('inter', 'search', 'item')[which]}"
    assert (raised.value.file, raised.value.line, raised.value.column) == (name, line, column)
    assert text in str(raised.value) and "\n" not in str(raised.value)
    assert f"run `recbole-llmfashion validate {folder} {' '.join(OPTIONS)}` to see" in str(raised.value)


def test_without_the_keys_the_line_names_them(tmp_path: Path) -> None:
    with pytest.raises(AtomicError, match=r"tiny\.inter, line 1, column uid: .*the column user_id \(key USER_ID_FIELD"):
        read_folder(own_tiny(tmp_path))


def test_rows_out_of_order_name_the_columns_of_the_files(tmp_path: Path) -> None:
    inter = with_own_fields(INTER).replace("u1\t11\tclick\t1701000000", "u1\t11\tclick\t1701000150")
    folder = write_tiny(tmp_path, inter, with_own_fields(SEARCH), with_own_fields(ITEM))
    with pytest.raises(
        AtomicError, match=r"tiny\.inter, line 3, column time: .*clean .* --USER_ID_FIELD=uid"
    ) as raised:
        check_clean(read_folder(folder, names=NAMES))
    assert raised.value.column == "time"


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


def test_validate_knows_the_names_from_yaml_file_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_tiny(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**OWN_FIELDS, "hidden_size": 64}))
    assert command("validate", folder)[0] == 2
    for words in (OPTIONS, [f"--config_files={tmp_path}/tiny.yaml"]):
        status, output = command("validate", folder, *words)
        assert status == 0 and f"{folder}: clean" in output, output
    # the file of the dataset in properties/, found by the folder's name as a run finds it
    (tmp_path / "properties/dataset").mkdir(parents=True)
    (tmp_path / "tiny.yaml").rename(tmp_path / "properties/dataset/tiny.yaml")
    monkeypatch.setattr(keys, "properties_folder", lambda: tmp_path / "properties")
    assert command("validate", folder)[0] == 0
    assert command("validate", folder, "--USER_ID_FIELD=user_id")[0] == 2


def test_clean_and_analyze_take_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_tiny(tmp_path)
    lines = (folder / "tiny.inter").read_text().splitlines()
    (folder / "tiny.inter").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    status, output = command("validate", folder, *OPTIONS)
    assert status == 2 and f"`recbole-llmfashion clean {' '.join(OPTIONS)}` fixes them" in output
    assert command("clean", folder, *OPTIONS)[0] == 0
    assert (folder / "tiny.inter").read_text().startswith("uid:token\tiid:token\taction:token\ttime:float\n")
    assert command("validate", folder, *OPTIONS)[0] == 0
    written: list[Document] = []
    monkeypatch.setattr(write, "write", lambda output, document: written.append(document))
    command("analyze", folder, *OPTIONS, "--output", tmp_path / "out")
    assert written[0].command.endswith(" ".join(OPTIONS))


# (keys, what the line says)
NOT_NAMES = [
    ({"USER_ID_FIELD": 5}, "USER_ID_FIELD: expected the name of a column"),
    ({"USER_ID_FIELD": None}, "USER_ID_FIELD: expected the name of a column"),
    ({"USER_ID_FIELD": "user id"}, "USER_ID_FIELD: expected the name of a column"),
    ({"USER_ID_FIELD": "uid:token"}, "USER_ID_FIELD: expected the name of a column"),
    ({"TIME_FIELD": ""}, "TIME_FIELD: expected the name of a column"),
    ({"ITEM_ID_FIELD": ["iid"]}, "ITEM_ID_FIELD: expected the name of a column"),
    ({"USER_ID_FIELD": "id", "ITEM_ID_FIELD": "id"}, "ITEM_ID_FIELD: 'id' is the column of USER_ID_FIELD"),
    ({"ITEM_ID_FIELD": "user_id"}, "ITEM_ID_FIELD: 'user_id' is the column of USER_ID_FIELD"),
    ({"ITEM_ID_FIELD": "user_id_list"}, "ITEM_ID_FIELD: 'user_id_list' is the column of USER_ID_FIELD"),
    ({"TIME_FIELD": "action"}, "TIME_FIELD: 'action' is a column of .inter"),
    ({"TIME_FIELD": "query"}, "TIME_FIELD: 'query' is a column of .search"),
    ({"ITEM_ID_FIELD": "title"}, "ITEM_ID_FIELD: 'title' is a column of .item"),
    ({"TIME_FIELD": "available_from"}, "TIME_FIELD: 'available_from' is a column of .item"),
    ({"TIME_FIELD": "history_length"}, "TIME_FIELD: 'history_length' is a column of RecBole's rows"),
    ({"USER_ID_FIELD": "label"}, "USER_ID_FIELD: 'label' is the column of LABEL_FIELD"),
    ({"USER_ID_FIELD": "item_length"}, "USER_ID_FIELD: 'item_length' is the column of ITEM_LIST_LENGTH_FIELD"),
    ({"ITEM_LIST_LENGTH_FIELD": "history_length"}, "ITEM_LIST_LENGTH_FIELD: 'history_length' is a column of RecBole's"),
    ({"LABEL_FIELD": "target_purchase"}, "LABEL_FIELD: 'target_purchase' is a column of RecBole's rows; choose"),
    ({"POSITION_FIELD": "split_code"}, "POSITION_FIELD: 'split_code' is a column of RecBole's rows; choose another"),
    ({"ITEM_ID_FIELD": "history", "LIST_SUFFIX": "_length"}, "ITEM_ID_FIELD: 'history_length' is a column of RecBole"),
    ({"USER_ID_FIELD": "code", "NEG_PREFIX": "split_"}, "USER_ID_FIELD: 'split_code' is a column of RecBole's rows"),
]


@pytest.mark.parametrize(("values", "line"), NOT_NAMES)
def test_values_that_are_no_names(values: dict[str, object], line: str) -> None:
    with pytest.raises(UserError) as raised:
        dataset_field_keys(Path("tiny"), (), values)
    assert str(raised.value).startswith(f"command line: {line}") and "\n" not in str(raised.value)
