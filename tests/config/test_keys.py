"""What is read from RecBole's files must be what RecBole itself has in memory."""

from pathlib import Path

import pytest
import recbole
from recbole.model.sequential_recommender import CORE
from recbole.utils import argument_list

from recbole_llmfashion.config.keys import (
    keys_of,
    known_keys,
    lineage,
    recbole_defaults,
    recbole_folder,
    recbole_keys,
    reject_unknown_keys,
)
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.model import RecformerQuery


def test_recbole_is_found_where_it_is():
    assert recbole_folder() == Path(recbole.__file__).parent


def test_recboles_keys():
    lists = [value for name, value in vars(argument_list).items() if name.endswith("_arguments")]
    assert len(lists) == 4 and set().union(*lists) <= recbole_keys("CORE")
    assert "sess_dropout" in recbole_keys("CORE") and "sess_dropout" not in recbole_keys("SASRec")
    defaults = recbole_defaults("SASRec")
    assert (defaults["epochs"], defaults["learning_rate"], defaults["n_layers"]) == (300, 0.001, 2)


def test_a_lineage_is_taken_as_class_name_or_names():
    assert lineage(RecformerQuery) == lineage(("Recformer", "RecformerQuery")) == ["Recformer", "RecformerQuery"]
    assert lineage(CORE) == lineage("CORE") == ["CORE"]
    assert keys_of(RecformerQuery) == keys_of(("Recformer", "RecformerQuery"))
    assert known_keys(["CORE", "SASRec"]) == keys_of("CORE") | keys_of("SASRec")


def test_a_key_of_a_model_that_does_not_run_names_the_model():
    with pytest.raises(UserError) as raised:
        reject_unknown_keys(["llm_epochs"], ["SASRec"], "command line")
    assert str(raised.value) == (
        "command line: llm_epochs: a key of LLMFashionRec, not of a model of this command; "
        "leave it out or add the model"
    )
    with pytest.raises(UserError, match=r"^a\.yaml: similarity: a key of SASRecSampled, not of a model"):
        reject_unknown_keys(["similarity"], ["SASRec"], "a.yaml")


def test_keys_of_other_models_and_of_the_first_release():
    reject_unknown_keys(["epochs", "num_beams"], ["LLMFashionRec"], "command line")
    with pytest.raises(UserError, match=r"^command line: `beams` is now `num_beams`; see docs/config\.md$"):
        reject_unknown_keys(["beams"], ["LLMFashionRec"], "command line")
    # this key changed its values, not its name
    with pytest.raises(UserError, match=r"^command line: llm_name_or_path: a key of LLMFashionRec, not "):
        reject_unknown_keys(["llm_name_or_path"], ["GRU4Rec"], "command line")
