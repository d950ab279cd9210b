"""Search spaces from YAML and from RecBole's files, and invalid entries."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.tuning.space import Domain, Space, read_space


@pytest.fixture(scope="module")
def sasrec():
    return load_config(get_model("SASRec").model, "x")


def space(tmp_path, config, text, name="space.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_space(path, config.model_class, config)


def test_recbole_file(tmp_path):
    """All kinds of lines in RecBole's .test files."""
    config = load_config(get_model("NextItNet").model, "x")
    text = (
        "learning_rate loguniform -7,0\n"
        "embedding_size choice [96, 64 , 128]\n"
        "\n"
        "# a comment\n"
        "reg_weight choice [0.01,1e-5]\n"
        "dilations choice ['[1, 2]','[1, 4]']\n"
        "block_num quniform 1,5,2\n"
        "weight_decay uniform 0,0.1\n"
    )
    domains = space(tmp_path, config, text, "next.test").domains
    assert domains["learning_rate"].low == pytest.approx(math.exp(-7)) and domains["learning_rate"].high == 1.0
    assert domains["embedding_size"].values == (96, 64, 128) and domains["reg_weight"].values == (0.01, 1e-5)
    assert domains["dilations"].values == ([1, 2], [1, 4])
    assert domains["block_num"].grid() == [1, 3, 5] and all(isinstance(v, int) for v in domains["block_num"].grid())
    assert (domains["weight_decay"].low, domains["weight_decay"].high) == (0.0, 0.1)


def test_yaml_file(tmp_path, sasrec):
    text = "learning_rate: {loguniform: [1e-4, 1e-2]}\nn_layers: {choice: [1, 2]}\n"
    read = space(tmp_path, sasrec, text)
    assert read.domains["learning_rate"] == Domain("loguniform", low=1e-4, high=1e-2)
    assert read.to_json() == {"learning_rate": {"loguniform": [1e-4, 1e-2]}, "n_layers": {"choice": [1, 2]}}


HYPER = sorted((properties_folder() / "hyper").glob("*.yaml"))


@pytest.mark.parametrize("path", HYPER, ids=lambda path: path.stem)
def test_spaces_that_ship(path):
    named = path.stem.split("-")[0]
    model = named if named != "mixup" else "LLMFashionRec"
    config = load_config(get_model(model).model, "x")
    assert f"--model={model} " in path.read_text()
    found = read_space(path, config.model_class, config).domains
    assert found.keys() == read_yaml(path).keys()
    assert all(domain.kind in ("choice", "loguniform", "quniform") for domain in found.values())


INVALID = [
    ("a.yaml", "learnin_rate: {choice: [1]}", "unknown key 'learnin_rate'; did you mean 'learning_rate'"),
    ("a.test", "hiden_size choice [1]", "unknown key 'hiden_size'; did you mean 'hidden_size'"),
    ("a.yaml", "n_layers: {choise: [1]}", "unknown kind 'choise'; did you mean 'choice'"),
    ("a.yaml", "learning_rate: {uniform: [0.2, 0.1]}", "is empty"),
    ("a.test", "learning_rate loguniform 0,-7", "line 1: the range .* is empty"),
    ("a.yaml", "learning_rate: {loguniform: [-7, 0]}", "give values, not logarithms"),
    ("a.yaml", "n_layers: {choice: []}", "expected a list of at least one value"),
    ("a.yaml", "n_layers: {choice: [1, 1]}", "expected different values"),
    ("a.yaml", "n_layers: {choice: [two]}", "expected numbers"),
    ("a.yaml", "n_layers: {quniform: [1, 4, 5]}", "is empty"),
    ("a.yaml", "n_layers: {quniform: [1, 4]}", "low, high, step"),
    ("a.yaml", "n_layers: {uniform: [.nan, 4]}", "uniform: expected low, high"),
    ("a.yaml", "loss_type: {uniform: [0, 1]}", "use choice"),
    ("a.yaml", "n_layers: [1, 2]", "expected one of choice"),
    ("a.yaml", "data_path: {choice: [a, b]}", "cannot be searched"),
    ("a.yaml", "seed: {choice: [1, 2]}", "cannot be searched"),
    ("a.yaml", "", "contains no key"),
    ("a.test", "n_layers choice", "line 1: expected `name kind values`"),
    ("a.test", "n_layers choice [1,", "line 1: '\\[1,' is not a list"),
    ("a.test", "n_layers choice __import__('os')", "is not a list"),
    ("a.test", "n_layers choice [1]\nn_layers choice [2]", "line 2: n_layers appears twice"),
]


def test_invalid_entries(tmp_path, sasrec):
    """Each line of the table is one message; all mismatches are reported together."""
    mismatches = []
    for name, text, expected in INVALID:
        with pytest.raises(UserError) as error:
            space(tmp_path, sasrec, text, name)
        if not re.search(expected, str(error.value)) or "\n" in str(error.value):
            mismatches.append((text, expected, str(error.value)))
    assert mismatches == []


FIXED_KEYS = [
    "split_by", "time_split", "mask_history", "rm_dup_inter", "val_interval", "user_inter_num_interval",
    "item_inter_num_interval", "source_dataset", "USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD",
    "num_train_workers", "n_jobs",
]  # fmt: skip


@pytest.mark.parametrize("key", FIXED_KEYS)
def test_keys_of_rows_and_processes_are_those_of_all_trials(tmp_path, key):
    config = load_config(get_model("LLMFashionRec").model, "x")
    with pytest.raises(UserError, match=f"{key} cannot be searched, it must be the same in all trials; remove it"):
        space(tmp_path, config, f"{key}: {{choice: [a, b]}}")


def test_missing_file(tmp_path, sasrec):
    for name in ("gone.yaml", "gone.test"):
        with pytest.raises(UserError, match=f"{name}: no such file"):
            read_space(tmp_path / name, sasrec.model_class, sasrec)


def test_grid_and_defaults(tmp_path, sasrec):
    read = space(tmp_path, sasrec, "n_layers: {choice: [2, 1]}\nhidden_size: {quniform: [32, 96, 32]}\n")
    assert read.grid()[:2] == [{"n_layers": 2, "hidden_size": 32}, {"n_layers": 2, "hidden_size": 64}]
    assert len(read.grid()) == 6 and read.defaults(sasrec) == {"n_layers": 2, "hidden_size": 64}
    outside = space(tmp_path, sasrec, "n_layers: {choice: [1, 3]}\n")
    assert outside.defaults(sasrec) is None
    continuous = space(tmp_path, sasrec, "learning_rate: {uniform: [0.1, 0.2]}\n")
    with pytest.raises(UserError, match="learning_rate is uniform, which has no finite grid"):
        continuous.grid()


@given(
    low=st.floats(1e-6, 10),
    width=st.floats(1e-3, 100),
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["uniform", "loguniform", "quniform"]),
    integer=st.booleans(),
)
def test_draws_are_in_the_domain_and_repeatable(low, width, seed, kind, integer):
    if integer:
        low, width = float(math.ceil(low)), float(math.ceil(width))
    step = width / 3 if not integer else 1.0
    domain = Domain(kind, low=low, high=low + width, step=step if kind == "quniform" else 0.0, integer=integer)
    space = Space({"key": domain})
    value = space.sample(seed, 3)["key"]
    assert value == space.sample(seed, 3)["key"]
    assert domain.contains(value) and low * (1 - 1e-9) <= value <= (low + width) * (1 + 1e-9)
    assert not integer or isinstance(value, int)


def test_loguniform_is_uniform_in_the_logarithm():
    space = Space({"lr": Domain("loguniform", low=1e-4, high=1e-2)})
    below = sum(space.sample(0, n)["lr"] < 1e-3 for n in range(400))
    assert 160 < below < 240  # half of the draws are below the geometric mean


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title_model.epoch: {choice: [1]}", "title_model: unknown field 'epoch'; did you mean 'epochs'?"),
        ("title_model.margin: {choice: [0.2, -0.1]}", "title_model.margin: expected a number above 0, found '-0.1'"),
        ("lora_r: {choice: [8, 0]}", "lora_r: expected a whole number from 1 to 4096, found '0'"),
        ("llm_learning_rate: {uniform: [0.1, 100.0]}", "llm_learning_rate: expected a number above 0 and at most 10"),
        ("quantization: {choice: [nf4, int8]}", "quantization: expected one of nf4, none, found 'int8'"),
        ("clip.epochs: {quniform: [-2, 4, 2]}", "clip.epochs: expected a whole number of 0 or more, found '-2'"),
    ],
)
def test_values_of_the_domain_are_checked(tmp_path, text, message):
    config = load_config(get_model("LLMFashionRec").model, "x")
    with pytest.raises(UserError, match=re.escape(message)):
        space(tmp_path, config, text)


def test_fields_of_dict_keys_have_the_type_of_their_default(tmp_path):
    config = load_config(get_model("LLMFashionRec").model, "x")
    text = "title_model.epochs: {quniform: [4, 24, 4]}\ntitle_model.margin: {uniform: [0.1, 1]}"
    read = space(tmp_path, config, text)
    assert read.domains["title_model.epochs"].grid() == [4, 8, 12, 16, 20, 24]
    assert all(isinstance(value, int) for value in read.domains["title_model.epochs"].grid())
    assert read.defaults(config) == {"title_model.epochs": 8, "title_model.margin": 0.2}
