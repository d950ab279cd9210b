"""What the time-split study says of a log, by hand."""

from recbole.model.sequential_recommender import SASRec

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.study.time_split import repeated_targets
from tests.helpers.fakes import INTER, write_tiny


def test_targets_that_stand_in_their_history(tmp_path):
    """Of three test rows one asks for what its user bought before."""
    write_tiny(tmp_path, inter=INTER.replace("u2\t13\tpurchase", "u2\t12\tpurchase"))
    config = load_config(SASRec, "tiny", overrides={"data_path": str(tmp_path), "topk": [3]})
    rows = dict(make_loaders(config).test._dataset.model_inputs())
    assert rows["item_id_list"][1][:1].tolist() == [rows["item_id"][1]]
    assert repeated_targets(rows, "item_id") == 1 / 3
