import pytest
from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.quick_start.registry import get_model, model_names


def test_ours_then_recboles_own_classes():
    assert get_model("LLMFashionRec").model is LLMFashionRec
    assert get_model("SASRec").model is SASRec
    assert {"GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE", "Popularity", "LLMFashionRec"} <= set(model_names())


@pytest.mark.parametrize(
    ("typo", "meant"), [("SASREC", "SASRec"), ("LLMFashonRec", "LLMFashionRec"), ("Bert4rec", "BERT4Rec")]
)
def test_a_typo_names_what_was_meant(typo, meant):
    with pytest.raises(UserError, match=f"'{typo}'; did you mean '{meant}'"):
        get_model(typo)


def test_general_models_are_not_sequential():
    with pytest.raises(UserError, match=r"known:|did you mean"):
        get_model("LightGCN")
