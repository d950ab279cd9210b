"""Every key of RecBole is read here, or another value than its default is one line; nothing is read and nothing trains.

The keys are those of RecBole's own files, so a key of a later RecBole fails here until it has a row. What a key that is
read changes is in tests/quick_start/test_recbole_keys.py.
"""

import re
from pathlib import Path

import pytest

from recbole_llmfashion.config import keys
from recbole_llmfashion.config.layers import merge_layers
from recbole_llmfashion.config.row_keys import INSTEAD, LAUNCHER
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.registry import MODEL_TABLE, UNSUPPORTED, model_names
from tests.helpers.recbole_keys import READ

RECBOLE = keys.recbole_folder()
MODELS = [name for name in model_names() if name not in MODEL_TABLE]
NOT_APPLIED = [
    ("filter_inter_by_user_or_item", False, "is an error; leave it out"),
    ("benchmark_filename", ["train", "valid", "test"], "join the parts"),
    ("threshold", {"rating": 3}, "there are no labels"),
    ("preload_weight", {"item_id": "vector"}, "no number column is read"),
    ("normalize_field", ["timestamp"], "no number column"),
    ("normalize_all", True, "no number column"),
    ("discretization", {"price": {"method": "LD"}}, "no number column"),
    ("numerical_features", ["price"], "no number column"),
    ("seq_len", {"title": 5}, "columns of the atomic files are fixed"),
    ("unload_col", {"inter": ["timestamp"]}, "fixed"),
    ("unused_col", {"inter": ["timestamp"]}, "fixed"),
    ("additional_feat_suffix", ["ent"], "fixed"),
    ("alias_of_item_id", ["other"], "fixed"),
    ("field_separator", ",", "separated by tabs"),
    ("seq_separator", ";", "separated by spaces"),
    ("RATING_FIELD", "stars", "no ratings are read"),
    *((key, "x", "no model here reads a knowledge graph") for key in (
        "HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD", "ENTITY_ID_FIELD",
        "entity_kg_num_interval", "relation_kg_num_interval",
    )),
    ("kg_reverse_r", True, "no model here reads a knowledge graph"),
    *((key, value, "keeps its trained models in checkpoint_dir") for key, value in (
        ("save_dataset", True), ("dataset_save_path", "x.pth"),
        ("save_dataloaders", True), ("dataloaders_save_path", "x.pth"),
    )),
    ("nproc", 2, "num_train_workers divides the LLM's fine-tuning"),
    ("nproc", "two", "trains in one process"),
    ("config_file", "a.yaml", "--config_files a.yaml b.yaml"),
    ("config_files", ["a.yaml"], "names no further ones"),
    ("require_pow", True, "no sequential model reads it"),
    ("alias_of_user_id", ["other"], "fixed"),
    ("alias_of_entity_id", ["other"], "fixed"),
    ("alias_of_relation_id", ["other"], "fixed"),
]  # fmt: skip
OF_RECBOLE = sorted(
    keys._recbole_arguments()
    | keys._RECBOLE_UNLISTED
    | {key for name in ("overall", "dataset/sample", "quick_start_config/sequential")
       for key in read_yaml(RECBOLE / f"properties/{name}.yaml")}
)  # fmt: skip


def test_there_are_keys():
    assert len(OF_RECBOLE) > 80


@pytest.mark.parametrize("key", OF_RECBOLE)
def test_a_key_is_read_or_refused(key):
    assert (key in READ) != (key in {name for name, *_ in NOT_APPLIED}), key
    assert (key in INSTEAD) == (key not in READ)


@pytest.mark.parametrize("model", ["SASRec", "LLMFashionRec"])
@pytest.mark.parametrize(("key", "value", "advice"), NOT_APPLIED)
def test_a_key_that_is_not_applied_is_one_line(model, key, value, advice, tmp_path):
    with pytest.raises(UserError, match=f"^command line: {key}: ") as raised:
        merge_layers(model, "footwear", (), {key: value})
    assert advice in str(raised.value) and "\n" not in str(raised.value)
    default = keys.recbole_defaults(model).get(key)
    merge_layers(model, "footwear", (), {key: default})


@pytest.mark.parametrize("key", LAUNCHER)
def test_options_of_recboles_launcher(key):
    with pytest.raises(UserError, match=f"^command line: {key}: an option of RecBole's launcher, .* in one process"):
        merge_layers("SASRec", "footwear", (), {key: 1})


def test_one_process_is_what_there_is():
    assert merge_layers("SASRec", "footwear", (), {"nproc": 1})["nproc"] == 1


def source_of(model):
    """The text of a model's module and of those that it extends."""
    folder = RECBOLE / "model/sequential_recommender"
    text = Path(folder, f"{model.lower()}.py").read_text(encoding="utf-8")
    bases = re.findall(r"from recbole\.model\.sequential_recommender\.(\w+) import", text)
    return text + "".join(Path(folder, f"{base}.py").read_text(encoding="utf-8") for base in bases)


@pytest.mark.parametrize("model", MODELS)
def test_each_model_reads_its_own_keys(model):
    """`transform`, and what masks items, are read for BERT4Rec and SHAN by RecBole's loaders."""
    text = source_of(model) + (RECBOLE / "data/transform.py").read_text(encoding="utf-8")
    own = read_yaml(RECBOLE / f"properties/model/{model}.yaml")
    unread = {key for key in own if not re.search(rf"""["']{key}["']""", text)}
    assert unread == ({"loss_type"} if model == "RepeatNet" else set())


@pytest.mark.parametrize("model", MODELS)
def test_a_transform_of_another_model_is_one_line(model):
    own = keys.recbole_defaults(model).get("transform")
    for value in ("mask_itemseq", "inverse_itemseq", "crop_itemseq", "reorder_itemseq", None):
        if value == own:
            assert merge_layers(model, "x", (), {"transform": value})["transform"] == own
        else:
            with pytest.raises(UserError, match=f"^command line: transform: {model} reads {own or 'none'}, found "):
                merge_layers(model, "x", (), {"transform": value})


def test_a_weight_that_only_some_models_read():
    assert merge_layers("HRM", "x", (), {"reg_weight": 1e-3})["reg_weight"] == 1e-3
    with pytest.raises(UserError, match=r"^command line: unknown key 'reg_weight'"):
        merge_layers("SASRec", "x", (), {"reg_weight": 1e-3})
    assert "reg_weight" not in merge_layers("SASRec", "x", (), {"reg_weight": 1e-3}, ["SASRec", "Caser"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"eval_step": 3, "epochs": 2}, r"eval_step: expected at most epochs \(2\), .*, found 3"),
        ({"loss_type": "BPR"}, "command line: loss_type: expected CE for RepeatNet, found 'BPR'"),
        ({"valid_metric_bigger": False}, "valid_metric_bigger: of NDCG@10 it is True; leave it out"),
        (
            {"metrics": ["GiniIndex"], "valid_metric": "GiniIndex@10", "valid_metric_bigger": True},
            "valid_metric_bigger: of GiniIndex@10 it is False; leave it out",
        ),
        ({"model": "CORE"}, "command line: model: found 'CORE', but --model is RepeatNet; leave it out"),
        ({"model": ["RepeatNet"]}, r"command line: model: found '\['RepeatNet'\]', but --model is RepeatNet"),
        ({"dataset": "bags"}, "command line: dataset: found 'bags', but --dataset is footwear; leave it out"),
    ],
)
def test_what_would_have_no_effect_or_fail_after_training(given, message):
    with pytest.raises(UserError, match=f"^{message}"):
        merge_layers("RepeatNet", "footwear", (), given)


def test_a_file_of_recbole_may_name_the_run_that_it_is_for(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("model: CORE\ndataset: footwear\nconfig_files: ~\nvalid_metric_bigger: True\nepochs: 3\n")
    assert merge_layers("CORE", "footwear", [str(file)])["epochs"] == 3
    assert merge_layers("Popularity", "footwear", [str(file)], model_names=["CORE"])["epochs"] == 3


PAGE = (Path(__file__).parents[2] / "docs/recbole.md").read_text(encoding="utf-8")


def test_the_page_names_every_key_and_every_sequential_model():
    assert {key for key in [*OF_RECBOLE, *LAUNCHER] if not re.search(rf"`(--)?{key}`", PAGE)} == set()
    table = PAGE.partition("### Models")[2].partition("###")[0]
    rows = [[name.strip() for name in row.split(",")] for row in re.findall(r"^\| (\w.*?) \|", table, re.M)]
    running, _, *refused = rows[1:-1]
    assert sorted(running) == MODELS
    assert {name for row in refused for name in row} == set(UNSUPPORTED)
