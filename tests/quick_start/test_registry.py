import pytest
import recbole.model.sequential_recommender as recbole_models

from recbole_llmfashion.config.keys import lineage, properties_folder
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.quick_start.registry import (
    MODEL_TABLE,
    UNSUPPORTED,
    accepted_models,
    get_model,
    model_names,
)
from recbole_llmfashion.trainer.staged import StagedTrainer


def test_the_table_says_what_the_classes_are():
    """Paths resolve, and the lineage by name is that of the classes' bases."""
    for name, spec in MODEL_TABLE.items():
        assert spec.name == name == spec.model.__name__
        assert list(spec.lineage) == lineage(spec.model)
        assert issubclass(spec.trainer, StagedTrainer)
        assert spec.dataloader is None or spec.dataloader.__name__ == spec.dataloader_path.split(":")[1]
        assert {*spec.bases, *spec.needs_keys_of} <= set(model_names())


def test_every_sequential_model_of_recbole_is_registered():
    classes = {name: value for name, value in vars(recbole_models).items() if isinstance(value, type)}
    assert set(model_names()) == {*MODEL_TABLE, *classes} - UNSUPPORTED.keys()
    assert UNSUPPORTED.keys() <= classes.keys()
    for name, value in classes.items():
        if name in UNSUPPORTED:
            continue
        spec = get_model(name)
        assert spec.model is value and spec.lineage == (name,)
        assert issubclass(spec.trainer, StagedTrainer)


def test_every_model_yaml_belongs_to_a_model():
    files = {path.stem for path in (properties_folder() / "model").glob("*.yaml")}
    assert {name.removesuffix("-paper") for name in files} <= set(model_names())


def test_keys_of_other_models():
    assert accepted_models("SASRec", "Popularity") == ["Popularity", "SASRec"]
    assert accepted_models("LLMFashionRec") == ["CORE", "LLMFashionRec", "SASRec", "SASRecSampled", "SeqKNN"]
    assert accepted_models("QueryMemory") == ["CORE", "LLMFashionRec", "QueryMemory"]
    assert accepted_models("RecformerQuery") == ["Recformer", "RecformerQuery"]


@pytest.mark.parametrize(
    ("typo", "name"), [("SASREC", "SASRec"), ("LLMFashonRec", "LLMFashionRec"), ("Bert4rec", "BERT4Rec")]
)
def test_a_typo_names_what_was_meant(typo, name):
    with pytest.raises(UserError, match=f"'{typo}'; did you mean '{name}'"):
        get_model(typo)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("LightGCN", "general"), ("Pop", "general"), ("DeepFM", "context_aware"), ("KGAT", "knowledge_aware")],
)
def test_models_that_are_not_sequential(name, kind):
    with pytest.raises(UserError, match=f"^--model: {name} is one of RecBole's {kind} models, .* CORE, SASRec or"):
        get_model(name)


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_models_that_cannot_run_say_why(name):
    with pytest.raises(UserError, match=f"^--model: {name} of RecBole cannot run: it .*; choose another model$"):
        get_model(name)
