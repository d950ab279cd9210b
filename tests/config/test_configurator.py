import re
import shutil
import sys
from pathlib import Path

import pytest
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.model.sequential_recommender import CORE, SASRec

import recbole_llmfashion
from recbole_llmfashion.config import keys
from recbole_llmfashion.config.configurator import given_keys, load_config
from recbole_llmfashion.config.dict_keys import DICT_KEYS, split_name
from recbole_llmfashion.config.keys import known_keys, lineage, own_keys, recbole_defaults, recbole_keys
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.recformer.model import Recformer, RecformerQuery
from recbole_llmfashion.quick_start.registry import get_model

PACKAGE = Path(recbole_llmfashion.__file__).parent
PROPERTIES = keys.properties_folder()
PRETRAIN = PROPERTIES / "pretrain.yaml"  # no layer of a config: its command reads it and refuses what it does not know
READ = re.compile(r"""\bconfig\[f?["']([A-Za-z0-9_{}]+)["']\]""")


def keys_read() -> set[str]:
    return {key for path in PACKAGE.rglob("*.py") for key in READ.findall(path.read_text())}


def test_every_key_of_ours_is_read():
    layers = [path for path in PROPERTIES.rglob("*.yaml") if path != PRETRAIN]
    ours = {split_name(key)[0] for path in layers for key in read_yaml(path)}
    assert {"seed", "clip", "recformer", "title_model"} <= ours
    recboles = set().union(*(recbole_keys(m) for m in ("GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE")))
    assert ours - recboles - keys_read() == set()


def test_every_key_read_is_in_a_yaml():
    bookkeeping = {
        "MODEL_TYPE",
        "config_layers",
        "command_line",
        "model_names",
        "keys_left_out",
        "device",
        "model",
        "dataset",
    }
    known = (
        known_keys(["LLMFashionRec", "CORE", "SeqKNN", "Recformer", "FDSA", "TransRec", "SASRecSampled", "TextKNN"])
        | bookkeeping
        | read_yaml(PRETRAIN).keys()
    )
    assert keys_read() - known == set()


FILES = sorted(PROPERTIES.rglob("*.yaml"))
COMMENTED = [path for path in FILES if path.parent.name in ("properties", "model", "dataset")]
EXPLAINED = [path for path in COMMENTED if not path.stem.endswith("-paper")]
KINDS = ("bool", "int", "float", "list")
TYPES = {"str", "int", "float", "bool", "list", "dict", "m or 0", *(f"auto or {kind}" for kind in KINDS)}


@pytest.mark.parametrize("path", EXPLAINED, ids=lambda path: path.stem)
def test_every_key_has_a_comment_of_recboles_form(path):
    """`key: value  # (type) meaning`, one clause, at most 100 characters, aligned."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] not in "# "]
    assert len(lines) == len(read_yaml(path))
    columns = set()
    for line in lines:
        value, _, comment = line.partition("# ")
        found = re.fullmatch(r"\(([a-z0 ]+)\) [^.]\S.*[^.]", comment)
        assert found and found[1] in TYPES, line
        assert len(comment) <= 98 and len(line) <= 120, line
        columns |= {len(value)} if len(value.rstrip()) <= 36 else set()
    assert len(columns) <= 1


COMMAND = re.compile(r"# (python|run_hyper\.py|recbole-llmfashion) ")


def test_comments_of_files_are_short():
    heads = [line for path in FILES for line in path.read_text().splitlines() if line.startswith("#")]
    assert len(heads) > 100
    assert [line for line in heads if len(line) > 100 and not COMMAND.match(line)] == []


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
    assert load_config(RecformerQuery, "x")["recformer_batch_size"] == 16  # of Recformer.yaml
    own.write_text("recformer_batch_size: 2\nrecformer: {heads: 2}\nrecformer_more: 1\n")
    keys._keys_of.cache_clear()
    config = load_config(RecformerQuery, "x", (), {"recformer.layers": 5, "recformer_max_items": 7})
    assert [config[f"recformer_{key}"] for key in ("batch_size", "max_items", "max_tokens", "more")] == [2, 7, 256, 1]
    assert [config[f"recformer.{key}"] for key in ("heads", "layers", "width")] == [2, 5, 128]
    assert load_config(Recformer, "x")["recformer_batch_size"] == 16 and "recformer_more" not in own_keys(Recformer)
    assert load_config(SASRec, "x", (), {"recformer_max_items": 5}, lineage(RecformerQuery))["n_layers"] == 2
    for key in ("recformer_max_items", "recformer.layers"):
        with pytest.raises(UserError, match=f"{key.split('.')[0]}: a key of Recformer( and RecformerQuery)?, not "):
            load_config(SASRec, "x", (), {key: 5})


def test_a_sibling_is_the_config_of_the_other_row():
    overrides = {"epochs": 3, "mixup_m": 2, "data_path": "somewhere"}
    ours = load_config(LLMFashionRec, "x", (), overrides, ["CORE", "LLMFashionRec"])
    row = load_config(CORE, "x", (), overrides, ["CORE", "LLMFashionRec"])
    assert ours.sibling(CORE).final_config_dict == row.final_config_dict
    assert row["epochs"] == 3 and "mixup_m" not in row


def test_dict_keys_are_merged_by_field_and_whole_in_the_config(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("title_model: {epochs: 3, margin: 0.4}\nclip.epochs: 5\n")
    config = load_config(LLMFashionRec, "x", [str(file)], {"title_model.epochs": 2, "clip": {"width": 32}})
    assert config["title_model"] == {
        "width": 64, "hidden": 128, "epochs": 2, "batch_size": 128, "learning_rate": 1e-3, "margin": 0.4,
        "max_length": 24, "mined": 4, "mining_start_epoch": 1,
    }  # fmt: skip
    assert config["clip"] == {"width": 32, "layers": 2, "epochs": 5, "batch_size": 256, "learning_rate": 1e-3}
    assert config["title_model.margin"] == 0.4 and config["clip.width"] == 32
    assert given_keys(config) == {"title_model": {"epochs": 2, "margin": 0.4}, "clip": {"epochs": 5, "width": 32}}
    assert "title_model" not in load_config(SASRec, "x", [str(file)], {}, ["LLMFashionRec"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"clip": {"epoch": 3}}, "command line: clip: unknown field 'epoch'; did you mean 'epochs'?"),
        ({"clip.epoch": 3}, "command line: clip: unknown field 'epoch'; did you mean 'epochs'?"),
        ({"clip": {1: 3}}, "command line: clip: unknown field '1'; known: width, layers, epochs,"),
        ({"clip": 3}, "command line: clip: expected a dict such as {width: 64}, found '3'"),
        ({"clip": None}, "command line: clip: expected a dict such as {width: 64}, found 'None'"),
        ({"clip": {"epochs": 3}, "clip.epochs": 2}, "command line: clip.epochs is given twice; leave one out"),
        ({"clip": {"epochs": 2.5}}, "command line: clip.epochs: expected a whole number of 0 or more, found '2.5'"),
        ({"clip": {"epochs": True}}, "command line: clip.epochs: expected a whole number of 0 or more, found 'True'"),
        ({"clip": {"epochs": -1}}, "command line: clip.epochs: expected a whole number of 0 or more, found '-1'"),
        ({"clip": {"width": 33}}, "command line: clip.width: expected an even number above 0, found '33'"),
        (
            {"title_model.batch_size": 0},
            "title_model.batch_size: expected a whole number of 1 or more, found '0'",
        ),
        (
            {"title_model.learning_rate": "a"},
            "learning_rate: expected a number above 0 and at most 10, found 'a'",
        ),
        ({"title_model.margin": float("nan")}, "title_model.margin: expected a number above 0, found 'nan'"),
        ({"title_epochs": 2}, "command line: `title_epochs` is now `title_model: {epochs: ..}`; see docs/config.md"),
        ({"clip_width": 2}, "command line: `clip_width` is now `clip: {width: ..}`; see docs/config.md"),
        ({"beams": 2}, "command line: `beams` is now `num_beams`; see docs/config.md"),
    ],
)
def test_mistakes_in_dict_keys_are_one_line(given, message):
    with pytest.raises(UserError, match=re.escape(message)):
        load_config(LLMFashionRec, "x", overrides=given)


def test_the_fields_that_yaml_comments_name_are_those_that_can_be_set():
    text = (PROPERTIES / "model/LLMFashionRec.yaml").read_text()
    for key in ("clip", "title_model"):
        named = re.search(rf"^{key}: {{}} .*; fields: ([a-z_, ]+?)(, \.\. \(docs/config\.md\))?$", text, re.M)
        assert named
        fields, known = named[1].split(", "), list(DICT_KEYS[key].fields)
        assert set(fields) < set(known) if named[2] else fields == known


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


def test_tuned_is_between_the_models_yaml_and_the_users(tmp_path, monkeypatch):
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


def test_a_tuned_file_holds_for_the_models_that_extend_its_model(tmp_path, monkeypatch):
    shutil.copytree(PROPERTIES, tmp_path / "properties")
    (tmp_path / "properties/tuned/x").mkdir(parents=True)
    (tmp_path / "properties/tuned/x/Recformer.yaml").write_text("recformer_max_items: 7\nrecformer.layers: 1\n")
    monkeypatch.setattr(keys, "properties_folder", lambda: tmp_path / "properties")
    for model in (Recformer, RecformerQuery):
        config = load_config(model, "x", (), {"use_tuned": True})
        assert config["recformer_max_items"] == 7 and config["recformer"]["layers"] == 1
        assert load_config(model, "x")["recformer_max_items"] == 10


def test_every_tuned_file_is_read_whole():
    paths = sorted((PROPERTIES / "tuned").glob("*/*.yaml"))
    assert len(paths) > 10
    for path in paths:
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
    class WithoutLoss(SequentialRecommender):
        pass

    with pytest.raises(UserError, match=r"^config of WithoutLoss: Either Model has attr"):
        load_config(WithoutLoss, "x")


def test_paper_setting_is_the_papers():
    values = own = read_yaml(PROPERTIES / "model/LLMFashionRec-paper.yaml")
    assert set(own) <= own_keys("LLMFashionRec") | own_keys("CORE")
    config = load_config(LLMFashionRec, "x", [str(PROPERTIES / "model/LLMFashionRec-paper.yaml")])
    assert values["llm_name_or_path"] == "tiiuae/falcon-7b"
    paper = {
        "lora_r": 16, "lora_alpha": 16, "lora_dropout": 0.05, "llm_learning_rate": 2e-5, "llm_epochs": 1,
        "curriculum_share": 0.2, "curriculum_epochs": 3, "max_length": 1024, "max_new_tokens": 64, "temperature": 0.05,
        "top_p": 0.95, "decoding": "sample", "prompt_template": "paper", "item_tokens": "text",
        "prompt_item_text": True,
        "loss_on_history": False, "ranking": "mixup", "num_beams": 0,
        "clip_model": "ViT-B-32-quickgelu", "clip_pretrained": "openai",
    }  # fmt: skip
    assert {key: config[key] for key in paper} == paper
    # the closest negatives in every pass, and whole titles
    closest = {"mined": 1, "mining_start_epoch": 0, "max_length": 128}
    assert closest.items() <= config["title_model"].items()
    core, recboles = config.sibling(CORE), recbole_defaults("CORE")
    budget = {"epochs": 300, "stopping_step": 10, "train_batch_size": 2048, "MAX_ITEM_LIST_LENGTH": 50}
    assert {key: core[key] for key in budget} == {key: recboles[key] for key in budget} == budget
