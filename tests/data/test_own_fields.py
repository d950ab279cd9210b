"""A dataset with its own field names: RecBole's rows, prompts and results are those of the same data without."""

import json

import numpy as np
import pytest
import yaml
from recbole.model.sequential_recommender import SASRec, SASRecF

from recbole_llmfashion import run_experiment
from recbole_llmfashion.cli.train import main
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.row_keys import OF_ROWS
from recbole_llmfashion.data import dataset as rows_module
from recbole_llmfashion.data.dataset import selected_features
from recbole_llmfashion.data.loaders import make_loaders, rows_of
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from tests.helpers.fakes import (
    INTER,
    ITEM,
    OWN_FIELDS,
    SEARCH,
    SMALL,
    own_tiny,
    simulated_shop,
    with_own_fields,
    write_tiny,
)
from tests.helpers.shop import loader_for, texts

TOPK = {"topk": [3], "valid_metric": "NDCG@3"}


def inputs_of(root, **keys):
    """(column under the names of the package -> values) of train, valid and test rows."""
    loaders = make_loaders(load_config(SASRec, "tiny", overrides={"data_path": str(root), **TOPK, **keys}))
    own = dict(zip(OWN_FIELDS.values(), ("user_id", "item_id", "timestamp"), strict=True))
    own |= {f"{name}_list": f"{column}_list" for name, column in own.items()}
    parts = []
    for loader in (loaders.train, loaders.valid, loaders.test):
        named = dict(rows_of(loader).model_inputs())
        parts.append({own.get(name, name): values for name, values in named.items()})
        if keys:
            assert {"uid", "iid", "time", "iid_list", "time_list"} <= named.keys()
            assert not {"user_id", "item_id", "timestamp"} & named.keys()
    return parts


def test_rows_are_the_same(tmp_path):
    write_tiny(tmp_path)
    own_tiny(tmp_path / "own")
    for plain, own in zip(inputs_of(tmp_path), inputs_of(tmp_path / "own", **OWN_FIELDS), strict=True):
        assert plain.keys() == own.keys() and len(plain["item_id_list"])
        for name, values in own.items():
            np.testing.assert_array_equal(values, plain[name], err_msg=name)


@pytest.mark.parametrize("phase", ["train", "test"])
def test_prompts_are_the_same(tmp_path, phase):
    files = dict(zip(("inter", "search", "item"), map(with_own_fields, (INTER, SEARCH, ITEM)), strict=True))
    plain = texts(loader_for(tmp_path / "plain", phase))
    own = texts(loader_for(tmp_path / "own", phase, keys=OWN_FIELDS, **files))
    assert own == plain and any("Norda" in text for text in own)


def test_results_are_the_same(tmp_path, monkeypatch, capsys):
    """The main job with the names in a YAML file, of a feature model and a baseline that counts."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    own_tiny(tmp_path / "own")
    (tmp_path / "own.yaml").write_text(
        yaml.safe_dump({**OWN_FIELDS, "load_col": {"inter": ["uid", "iid", "time"], "item": ["iid", "brand"]}})
    )
    keys = ["--topk=[3]", "--valid_metric=NDCG@3", "--epochs=1", "--show_progress=False"]
    models = ["--model=SASRecF", "--selected_features=[brand]", "--dataset=tiny", *keys]
    plain = [*models, f"--data_path={tmp_path}", "--output=plain", "--checkpoint_dir=saved"]
    own = [*models, f"--data_path={tmp_path}/own", "--config_files=own.yaml", "--output=out", "--checkpoint_dir=saved2"]
    assert (main(plain), main(own)) == (0, 0), capsys.readouterr().err
    tables = [json.loads((tmp_path / name / "results.json").read_text())["models"] for name in ("plain", "out")]
    metrics = [
        {
            row: [cells["valid"], *(cells[name] for name in ("ndcg@3", "recall@3", "mrr"))]
            for row, cells in table.items()
        }
        for table in tables
    ]
    assert metrics[0] == metrics[1] and metrics[0].keys() == {"SASRecF", "Popularity"}


def test_a_wrong_name_is_one_line_before_anything_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own_tiny(tmp_path)
    words = ["--model=SASRec", "--dataset=tiny", f"--data_path={tmp_path}", "--topk=[3]", "--valid_metric=NDCG@3"]
    fields = [f"--{key}={name}" for key, name in {**OWN_FIELDS, "ITEM_ID_FIELD": "idd"}.items()]
    assert main([*words, *fields]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("rows for ")]
    assert "tiny.inter, line 1, column iid: expected the column idd (key ITEM_ID_FIELD)" in line
    assert not (tmp_path / "saved").exists()


def test_load_col_takes_the_names_of_the_files():
    for columns in (["user_id"], ["timestamp"]):
        with pytest.raises(UserError, match=rf"load_col: \.inter has no column '{columns[0]}'"):
            load_config(SASRec, "tiny", overrides={**OWN_FIELDS, "load_col": {"inter": columns}})


def test_a_feature_is_no_column_of_the_rows():
    columns = {"item_id": "token", "title": "token", "uid": "token", "time": "token"}
    config = load_config(SASRecF, "tiny", overrides={**OWN_FIELDS, "selected_features": ["uid"]})
    with pytest.raises(UserError, match=r"no text column 'uid' in \.item; choose from title$"):
        selected_features(config, columns)


def test_the_names_of_the_rows_are_known():
    named = {value for name, value in vars(rows_module).items() if name.isupper() and isinstance(value, str)}
    assert named == OF_ROWS


@pytest.mark.slow
def test_our_model_gives_the_same_results(tmp_path):
    simulated_shop(tmp_path)
    (tmp_path / "own/shoes").mkdir(parents=True)
    for file in (tmp_path / "shoes").glob("shoes.*"):
        (tmp_path / "own/shoes" / file.name).write_text(with_own_fields(file.read_text()))
    found = []
    for root, keys in ((tmp_path, {}), (tmp_path / "own", OWN_FIELDS)):
        places = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
        found.append(run_experiment(load_config(LLMFashionRec, "shoes", overrides={**SMALL, **places, **keys})))
    assert found[0].metrics == found[1].metrics and found[0].valid == found[1].valid
    assert found[0].ranks.equals(found[1].ranks)
