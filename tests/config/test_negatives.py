import pytest
from recbole.model.sequential_recommender import FPMC, SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.config.keys import recbole_defaults
from recbole_llmfashion.config.negatives import neg_sample_args
from recbole_llmfashion.errors import UserError

DEFAULTS = recbole_defaults("FPMC")["train_neg_sample_args"]
KEY = "train_neg_sample_args"


def test_no_negatives_without_a_loss_that_reads_them():
    assert neg_sample_args("CORE", False, None, DEFAULTS) is None
    assert load_config(SASRec, "x")[KEY]["distribution"] == "none"


@pytest.mark.parametrize("given", [None, {}, {"sample_num": 3}, {"distribution": "popularity", "alpha": 0.5}])
def test_a_partial_dict_is_filled_up(given):
    assert neg_sample_args("FPMC", True, given, DEFAULTS) == DEFAULTS | (given or {})
    assert load_config(FPMC, "x", overrides={KEY: given})[KEY] == DEFAULTS | (given or {})
    assert load_config(SASRec, "x", overrides={KEY: given, "loss_type": "BPR"})[KEY] == DEFAULTS | (given or {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "expected a dict"),
        ({"sample": 3}, "unknown field 'sample'; did you mean 'sample_num'"),
        ({"distribution": "none"}, "distribution: FPMC learns from negatives; expected uniform or popularity"),
        ({"distribution": None}, "found 'None'"),
        ({"sample_num": 0}, "sample_num: expected a whole number of 1 or more, found '0'"),
        ({"sample_num": True}, "sample_num: expected"),
        ({"sample_num": "two"}, "sample_num: expected"),
        ({"alpha": "two"}, "alpha: expected a number, found 'two'"),
        ({"alpha": None}, "alpha: expected a number, found 'None'"),
        ({"alpha": True}, "alpha: expected a number, found 'True'"),
        ({"alpha": float("inf")}, "alpha: expected a number, found 'inf'"),
        ({"dynamic": "no"}, "dynamic: expected True or False, found 'no'"),
        ({"dynamic": 1}, "dynamic: expected True or False, found '1'"),
        ({"dynamic": True}, "candidate_num: expected a whole number of 1 or more, found '0'"),
    ],
)
def test_bad_values(given, message):
    with pytest.raises(UserError, match=f"^{KEY}: .*{message}"):
        neg_sample_args("FPMC", True, given, DEFAULTS)


def test_negatives_for_a_full_softmax():
    with pytest.raises(UserError, match=f"^{KEY}: SASRec learns without sampled negatives; "):
        load_config(SASRec, "x", overrides={KEY: {"sample_num": 1}})
