import re
import shutil
import sys
from pathlib import Path

import pytest
from recbole.model.sequential_recommender import CORE, SASRec

import recbole_llmfashion
from recbole_llmfashion.config import keys
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.keys import known_keys, lineage, own_keys, recbole_keys
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.recformer.model import Recformer, RecformerQuery
from recbole_llmfashion.quick_start.registry import get_model

PACKAGE = Path(recbole_llmfashion.__file__).parent
PROPERTIES = keys.properties_folder()
PRETRAIN = PROPERTIES / "pretrain.yaml"  # no layer of a config: its command reads it and refuses what it does not know
READ = re.compile(r"""config\[f?["']([A-Za-z0-9_{}]+)["']\]""")


def keys_read() -> set[str]:
    return {key for path in PACKAGE.rglob("*.py") for key in READ.findall(path.read_text())}


def test_every_key_of_ours_is_read():
    layers = [path for path in PROPERTIES.rglob("*.yaml") if path != PRETRAIN]
    ours = {key for path in layers for key in read_yaml(path)}
    recboles = set().union(*(recbole_keys(m) for m in ("GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE")))
    assert ours - recboles - keys_read() == set()


def test_every_key_read_stands_in_a_yaml():
    bookkeeping = {"MODEL_TYPE", "config_layers", "command_line", "model_names", "device", "model", "dataset"}
    known = known_keys(["LLMFashionRec", "CORE", "SeqKNN", "Recformer"]) | bookkeeping | read_yaml(PRETRAIN).keys()
    assert keys_read() - known == set()


def test_every_key_is_explained():
    for path in PROPERTIES.rglob("*.yaml"):
        if path.parent.name == "model" and path.name != "LLMFashionRec-paper.yaml":
            for line in path.read_text().splitlines():
                assert line.startswith("#") or not line.strip() or re.search(r"# \(.+\) ", line), f"{path}: {line}"


def test_layers(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("mixup_m: 2\nlearning_rate: 1e-4\n")
    config = load_config(LLMFashionRec, "x", [str(file)], {"mixup_m": 3})
    assert (config["mixup_m"], config["learning_rate"], config["lora_r"]) == (3, 1e-4, 16)
    assert load_config(SASRec, "x", [str(file)], {}, ["LLMFashionRec"])["hidden_size"] == 64


def test_a_model_that_extends_one_of_ours_has_its_yaml_below_its_own(tmp_path, monkeypatch):
    shutil.copytree(PROPERTIES, tmp_path / "properties")
    own = tmp_path / "properties/model/RecformerQuery.yaml"
    monkeypatch.setattr(keys, "properties_folder", lambda: tmp_path / "properties")
    assert load_config(RecformerQuery, "x")["recformer_heads"] == 4  # of Recformer.yaml
    own.write_text("recformer_heads: 2\nrecformer_more: 1\n")
    keys._keys_of.cache_clear()
    config = load_config(RecformerQuery, "x", (), {"recformer_layers": 5})
    assert [config[f"recformer_{key}"] for key in ("heads", "layers", "width", "more")] == [2, 5, 128, 1]
    assert load_config(Recformer, "x")["recformer_heads"] == 4 and "recformer_more" not in own_keys(Recformer)
    assert load_config(SASRec, "x", (), {"recformer_layers": 5}, lineage(RecformerQuery))["n_layers"] == 2
    with pytest.raises(UserError, match="recformer_layers"):
        load_config(SASRec, "x", (), {"recformer_layers": 5})


def test_a_sibling_is_the_config_of_the_other_row():
    overrides = {"epochs": 3, "mixup_m": 2, "data_path": "somewhere"}
    ours = load_config(LLMFashionRec, "x", (), overrides, ["CORE", "LLMFashionRec"])
    row = load_config(CORE, "x", (), overrides, ["CORE", "LLMFashionRec"])
    assert ours.sibling(CORE).final_config_dict == row.final_config_dict
    assert row["epochs"] == 3 and "mixup_m" not in row


@pytest.mark.parametrize(
    ("key", "hint"), [("mixup_n", "mixup_m"), ("learnin_rate", "learning_rate"), ("lora_alfa", "lora_alpha")]
)
def test_unknown_keys_name_the_nearest(key, hint):
    with pytest.raises(UserError, match=f"'{key}'.*'{hint}'"):
        load_config(LLMFashionRec, "x", overrides={key: 1})


def test_nothing_is_evaluated_and_the_command_line_is_not_read(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run", "--epochs=1=2", "--learning_rate=0.5"])
    config = load_config(SASRec, "x", overrides={"data_path": "__import__('os').getcwd()"})
    assert config["data_path"].startswith("__import__")
    assert config["learning_rate"] == 0.001
    assert sys.argv[1] == "--epochs=1=2"


def test_a_missing_key_of_ours_is_an_error():
    config = load_config(LLMFashionRec, "x")
    del config.final_config_dict["mixup_m"]
    with pytest.raises(UserError, match="mixup_m"):
        config["mixup_m"]
    assert config["no_such_recbole_key"] is None  # RecBole itself relies on this


def test_tuned_lies_between_the_models_yaml_and_the_users(tmp_path, monkeypatch):
    shutil.copytree(PROPERTIES, tmp_path / "properties")
    (tmp_path / "properties/tuned/x").mkdir(parents=True)
    (tmp_path / "properties/tuned/x/SASRec.yaml").write_text("n_layers: 1\nepochs: 7\nlearning_rate: 0.5\n")
    monkeypatch.setattr(keys, "properties_folder", lambda: tmp_path / "properties")
    file = tmp_path / "mine.yaml"
    file.write_text("use_tuned: True\nepochs: 8\n")
    config = load_config(SASRec, "x", [str(file)], {"learning_rate": 0.25})
    assert [config[key] for key in ("n_layers", "epochs", "learning_rate")] == [1, 8, 0.25]
    assert (
        load_config(SASRec, "x")["n_layers"] == 2 and load_config(SASRec, "y", (), {"use_tuned": True})["n_layers"] == 2
    )
    assert (
        load_config(CORE, "x", (), {"use_tuned": True})["learning_rate"] == 0.001
    )  # another model's file is not its own


def test_every_tuned_file_is_read_whole():
    for path in sorted((PROPERTIES / "tuned").glob("*/*.yaml")):
        values = read_yaml(path)
        config = load_config(get_model(path.stem).model, path.parent.name, (), {"use_tuned": True})
        assert values and {key: config[key] for key in values} == values, path
        assert "data sha256" in path.read_text() and str(Path.home()) not in path.read_text()


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "\tx: 1\n"])
def test_files_that_are_no_yaml_mapping(tmp_path, text):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"bad\.yaml"):
        load_config(SASRec, "x", [str(file)])
    with pytest.raises(UserError, match="no such file"):
        load_config(SASRec, "x", [str(tmp_path / "gone.yaml")])


def test_a_value_that_recbole_refuses():
    with pytest.raises(UserError, match="no metric named"):
        load_config(SASRec, "x", overrides={"metrics": ["Recal"]})


def test_paper_setting_is_the_papers():
    values = own = read_yaml(PROPERTIES / "model/LLMFashionRec-paper.yaml")
    assert set(own) <= own_keys("LLMFashionRec")
    config = load_config(LLMFashionRec, "x", [str(PROPERTIES / "model/LLMFashionRec-paper.yaml")])
    assert values["llm_name_or_path"] == "tiiuae/falcon-7b"
    paper = {
        "lora_r": 16, "lora_alpha": 16, "lora_dropout": 0.05, "llm_learning_rate": 2e-5, "llm_epochs": 1,
        "curriculum_share": 0.2, "curriculum_epochs": 3, "max_length": 1024, "max_new_tokens": 64, "temperature": 0.05,
        "top_p": 0.95, "decoding": "sample", "prompt_template": "paper", "item_tokens": "text",
        "prompt_item_text": True,
        "loss_on_history": False, "ranking": "mixup", "num_beams": 0,
    }  # fmt: skip
    assert {key: config[key] for key in paper} == paper
