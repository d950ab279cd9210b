"""The public load_config: a model's name in place of its class, with the keys that its result depends on."""

import pytest
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion import UserError, load_config
from recbole_llmfashion.config import configurator
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.recformer.model import RecformerQuery


@pytest.mark.parametrize("model", [LLMFashionRec, RecformerQuery])
def test_a_name_gives_the_config_of_the_class(model):
    by_name, by_class = load_config(model.__name__, "footwear"), configurator.load_config(model, "footwear")
    assert by_name.model_class is by_class.model_class is model
    left_out = {"model_names"}  # by name, the keys of CORE are accepted too
    assert {key: value for key, value in by_name.final_config_dict.items() if key not in left_out} == {
        key: value for key, value in by_class.final_config_dict.items() if key not in left_out
    }


def test_keys():
    config = load_config("LLMFashionRec", "footwear", overrides={"num_beams": 7, "sess_dropout": 0.1})  # CORE's key
    assert config["num_beams"] == 7
    assert load_config("SASRec", "footwear", overrides={"n_layers": 1})["n_layers"] == 1
    assert load_config("LLMFashionRec", "x", overrides={"llm_name_or_path": "embedded"})["llm_name_or_path"] == (
        "tiny-falcon"
    )
    with pytest.raises(UserError, match="unknown model 'SASRek'; did you mean 'SASRec'"):
        load_config("SASRek", "footwear")


@pytest.mark.parametrize("model", ["SASRec", SASRec])
def test_a_message_about_overrides_names_the_argument(model):
    with pytest.raises(UserError) as raised:
        load_config(model, "footwear", overrides={"epoch": 3})
    assert str(raised.value) == "overrides: unknown key 'epoch'; did you mean 'epochs'?"


def test_a_message_about_a_file_names_the_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("epoch: 3\n")
    with pytest.raises(UserError) as raised:
        load_config("SASRec", "footwear", [str(file)])
    assert str(raised.value) == f"{file}: unknown key 'epoch'; did you mean 'epochs'?"
