"""The YAML file beside the files of a dataset, which every command on the dataset reads."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.config.configurator import given_keys, load_config, source_config
from recbole_llmfashion.config.layers import dataset_field_keys, merge_layers
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.popularity import Popularity
from tests.helpers.fakes import OWN_FIELDS, own_tiny, write_tiny


@pytest.fixture
def shops(tmp_path):
    """A function that writes <root>/<name>/<name>.yaml."""

    def write(text, name="tiny"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{name}.yaml").write_text(text)
        return {"data_path": str(tmp_path)}

    return write


def test_it_lies_above_properties_and_below_config_files(shops, tmp_path):
    place = shops("epochs: 3\nseed: 4\ntopk: 5\nvalid_metric: NDCG@5\n")
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 5\n")
    merged = merge_layers("CORE", "tiny", [str(file)], place)
    assert (merged["epochs"], merged["seed"], merged["topk"]) == (3, 5, [5])
    assert merge_layers("CORE", "tiny", [str(file)], {**place, "seed": 6})["seed"] == 6
    assert merge_layers("CORE", "other", (), place)["seed"] == 2020


def test_it_is_found_where_a_config_file_says_that_the_data_is(shops, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"data_path: {shops('epochs: 3')['data_path']}\n")
    assert merge_layers("CORE", "tiny", [str(file)])["epochs"] == 3


def test_a_config_has_it_once_and_so_do_its_siblings(shops, tmp_path):
    config = load_config(Popularity, "tiny", (), shops("topk: 5\nvalid_metric: NDCG@5\n"))
    own = f"{tmp_path}/tiny/tiny.yaml"
    assert config["config_layers"] == [own] == config.sibling(Popularity)["config_layers"]
    assert given_keys(config) == {"topk": 5, "valid_metric": "NDCG@5", "data_path": str(tmp_path)}


def test_zero_shot_reads_that_of_the_source(shops, tmp_path):
    place = shops("topk: 5\nvalid_metric: NDCG@5\n")
    shops("seed: 9\n", "bags")
    config = load_config("CORE", "tiny", (), {**place, "source_dataset": "bags"}, ["LLMFashionRec"])
    config.final_config_dict["source_dataset"] = "bags"
    source = source_config(config)
    assert (source["seed"], source["topk"]) == (9, [10]) and config["topk"] == [5]
    assert source["config_layers"] == [f"{tmp_path}/bags/bags.yaml"]


def test_keys_left_out_of_a_model_have_no_effect_from_any_layer(shops, tmp_path):
    place = shops("transform: mask_itemseq\ncold_token: True\ntopk: 5\nvalid_metric: NDCG@5\n")
    shops("cold_token: True\n", "bags")
    keys = {**place, "train_neg_sample_args": {"sample_num": 2}, "source_dataset": "bags"}
    left_out = ("cold_token", "train_neg_sample_args", "transform")
    config = load_config(Popularity, "tiny", (), keys, ["LLMFashionRec"], left_out=left_out)
    config.final_config_dict["source_dataset"] = "bags"
    for one in (config, config.sibling(Popularity), source_config(config)):
        negatives = one["train_neg_sample_args"]["sample_num"]
        assert (one["cold_token"], negatives, one["transform"]) == (False, "none", None)
        assert given_keys(one).keys().isdisjoint(left_out)
    assert config["topk"] == [5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data_path: elsewhere\n", "data_path: the file was found in that folder; leave it out"),
        ("epoch: 3\n", "unknown key 'epoch'; did you mean 'epochs'"),
        ("epochs: many\n", "epochs: expected a whole number of 1 or more, found 'many'"),
        ("dataset: bags\n", "dataset: found 'bags', but --dataset is tiny"),
    ],
)
def test_mistakes_name_the_file(shops, tmp_path, text, message):
    with pytest.raises(UserError, match=f"^{tmp_path}/tiny/tiny.yaml: {message}"):
        merge_layers("CORE", "tiny", (), shops(text))


def test_names_of_columns_are_found_by_every_command(shops, tmp_path, monkeypatch):
    own_tiny(tmp_path)
    names = "".join(f"{key}: {name}\n" for key, name in OWN_FIELDS.items())
    shops(f"{names}topk: 3\nvalid_metric: NDCG@3\n")
    assert dataset_field_keys(tmp_path / "tiny") == OWN_FIELDS
    monkeypatch.chdir(tmp_path / "tiny")
    command("validate", ".")
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path, name="plain")
    assert popularity("tiny") == popularity("plain", "--topk=3", "--valid_metric=NDCG@3")


def command(*words):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output


def popularity(dataset, *words):
    """The metrics of Popularity on a dataset below the working directory."""
    places = ("--data_path=.", "--checkpoint_dir=saved", f"--output={dataset}-out")
    command("run", "--model=Popularity", f"--dataset={dataset}", *places, *words)
    row = json.loads(Path(f"{dataset}-out/results.json").read_text())["models"]["Popularity"]
    return {name: row[name] for name in ("recall@3", "ndcg@3", "mrr")}
