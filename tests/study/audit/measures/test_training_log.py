"""The training rows that an audit takes are those of the run."""

import numpy as np
import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.loaders import make_loaders, rows_of
from recbole_llmfashion.dataset_tools.plant.planting import PlantSettings, plant
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.study.audit.measures.extraction import training_queries
from recbole_llmfashion.study.audit.measures.training_log import TrainingLog, keys_of_run
from tests.helpers.fakes import simulated_shop


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return simulated_shop(tmp_path_factory.mktemp("audited"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"click_filter": "none"},
        {"click_filter": "train"},
        {"click_filter": "paper"},
        {"split_by": "time"},
        {"split_by": "time", "time_split": [0.5, 0.7]},
        {"train_share": 0.3},
        {"eval_args": {"split": {"LS": "valid_only"}}},
        {"user_inter_num_interval": "[9,inf)"},
    ],
    ids=str,
)
def test_training_rows_are_those_of_the_dataset(root, given):
    log = TrainingLog.of(read_folder(root / "shoes", "shoes"), keys_of_run(given, "shoes", root))
    loaders = make_loaders(load_config(LLMFashionRec, "shoes", (), {**given, "data_path": str(root)}))
    dataset = loaders.dataset
    items, users = (
        dataset.id2token(field, rows_of(loaders.train).inter_feat[field]) for field in ("item_id", "user_id")
    )
    found = log.actions[log.training]
    assert sorted(zip(found["user_id"], found["item_id"], strict=True)) == sorted(zip(users, items, strict=True))
    searches = dataset.search_log
    typed = {searches.queries[i] for i in np.unique(searches.query_index[searches.training])}
    assert training_queries(log) == {normalize_text(query) for query in typed} != set()


def test_every_customer_of_a_canary_has_it_in_a_training_row(root, tmp_path):
    settings = PlantSettings(counts=(1, 2, 4), canaries=2, candidates=4, left_out=5)
    copy, _, planted = plant(read_folder(root / "shoes", "shoes"), tmp_path / "copy", settings)
    log = TrainingLog.of(copy, keys_of_run({}, "copy", tmp_path))
    clicked = log.actions["item_id"][log.training].value_counts()
    assert [clicked.get(one.item, 0) for one in planted.canaries] == [one.count for one in planted.canaries]
