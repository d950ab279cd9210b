"""With other test targets every trained stage of the studies is reused, and only the ranks change."""

import pandas as pd
import pytest

from recbole_llmfashion.cli.main import run as command
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.model.popularity import Popularity
from recbole_llmfashion.study.forms import paper_form
from tests.helpers.fakes import SMALL, replace_test_targets, simulated_shop

KEYS = SMALL | {
    "click_filter": "none",  # the paper's click filter reads test targets
    "recformer": {"width": 32, "layers": 1, "heads": 2, "vocab_size": 400, "attention_window": 16},
    "recformer_max_tokens": 64, "recformer_pretrain_epochs": 1, "recformer_stage1_epochs": 1,
    "recformer_stage2_epochs": 1, "state": "ERROR",
}  # fmt: skip
STUDIES = [
    ("compare",),
    ("ablation",),
    ("cold-start", "--models=SASRec,CORE", "--plus_cold=True"),
    ("low-resource", "--models=CORE,Recformer,LLMFashionRec,SeqKNN", "--shares=50,100"),
]
TIME_SPLIT = [("time-split", "--models=SASRec,Recformer,LLMFashionRec,SeqKNN")]


def run(root, data, studies):
    """Runs studies on `data`; returns the trained stages, the row stages and the ranks."""
    for name, *words in studies:
        places = [f"--data_path={data}", f"--checkpoint_dir={root / 'saved'}", f"--output={root / 'out' / name}"]
        own = paper_form() if name == "ablation" else {}  # every row has these, so the command line may not
        keys = [f"--{key}={value}" for key, value in KEYS.items() if key not in own]
        assert command(["study", name, "--dataset=shoes", "--seeds=1", *words, *places, *keys]) == 0
    made = {path.name for path in (root / "saved/shoes/stages").iterdir() if path.name != ".locks"}
    rows = {name for name in made if name.startswith("row-")}
    return made - rows, rows, pd.read_parquet(root / "out" / studies[0][0] / "ranks.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("studies", [STUDIES, TIME_SPLIT], ids=["leave-one-out", "time-split"])
def test_other_test_targets_train_nothing(tmp_path, studies):
    simulated_shop(tmp_path)
    users = None
    if studies is TIME_SPLIT:  # users whose last purchase is before the test period are training rows
        keys = {"data_path": str(tmp_path), "split_by": "time", "click_filter": "none"}
        loaders = make_loaders(load_config(Popularity, "shoes", overrides=keys))
        codes = loaders.test._dataset.inter_feat[loaders.dataset.uid_field]
        users = set(loaders.dataset.id2token(loaders.dataset.uid_field, codes.numpy()))
        assert 0 < len(users) < 40
    trained, rows, ranks = run(tmp_path, tmp_path, studies)
    replace_test_targets(tmp_path / "shoes", tmp_path / "other/shoes", users)
    again, more, others = run(tmp_path, tmp_path / "other", studies)
    assert again == trained
    assert len(more) == 2 * len(rows) and more > rows  # each row was evaluated again, on other targets
    changed = ranks["target"] != others["target"]
    assert changed.all() if users is None else changed[ranks["user"].isin(users)].all()
