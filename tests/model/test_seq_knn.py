"""SeqKNN by hand."""

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.seq_knn import SeqKNN
from recbole_llmfashion.quick_start.experiment import run_experiment
from tests.helpers.fakes import INTER, ITEM, purchases_only, write_tiny

# u1 trains on a, b; u2 on a, b, c; u3 on c, d; what comes after is validation and test
HAND = (
    INTER.splitlines()[0]
    + "\n"
    + "".join(
        f"{user}\t{item}\tpurchase\t{time}\n"
        for user, items in (("u1", "abdd"), ("u2", "abcdd"), ("u3", "cdaa"))
        for time, item in enumerate(items)
    )
)
ITEMS = ITEM.splitlines()[0] + "\n" + "".join(f"{item}\ttitle {item}\t\t\t\t\n" for item in "abcde")


def make(root, **keys):
    write_tiny(root, HAND, "", ITEMS)
    config = load_config(SeqKNN, "tiny", overrides={"data_path": str(root), "topk": [2], **keys})
    return SeqKNN(config, make_loaders(config).train._dataset)


def ranked(model, history):
    """Item letters, best first, for a history of catalogue positions, oldest first."""
    items = torch.zeros((1, 20), dtype=torch.int64)
    items[0, : len(history)] = torch.tensor(["abcde".index(item) + 1 for item in history])
    batch = Interaction({"item_id_list": items, "item_length": torch.tensor([len(history)])})
    scores = model.full_sort_predict(batch)
    assert scores.isfinite().all() and len(scores.unique()) == 6 and scores[0, 0] == scores.min()
    return "".join("abcde"[i] for i in (scores[0].argsort(descending=True)[:-1] - 1))


def test_recent_items_count_more(tmp_path):
    model = make(tmp_path)
    assert ranked(model, "a")[:2] == "bc"  # 1, then 1/2
    # c newest: d .71, a and b .5 of c; a before it adds half of its cosines: b 1.0, c .25; d .71, a .5
    assert ranked(model, "ac")[:4] == "bdac"
    # a newest: b 1 + .25, c .5, d .35, a .25
    assert ranked(model, "ca")[:4] == "bcda"


def test_only_the_last_items_count(tmp_path):
    model = make(tmp_path, knn_history=1)
    assert ranked(model, "ac")[0] == "d" and ranked(model, "ca")[0] == "b"
    with pytest.raises(UserError, match="knn_history"):
        make(tmp_path, knn_history=0)


def ndcg(root, name):
    keys = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "show_progress": False}
    return run_experiment(load_config(SeqKNN, name, overrides=keys)).metrics["ndcg@10"]


def test_learns_on_structure_and_stays_low_on_noise(tmp_path):
    """Users who stay among ten of two hundred items, against users who take any."""
    rng = np.random.default_rng(0)
    lines = [INTER.splitlines()[0]]
    lines += [
        f"u{user}\ti{10 * (user % 20) + rng.integers(10)}\tpurchase\t{time}" for user in range(120) for time in range(8)
    ]
    items = ITEM.splitlines()[0] + "\n" + "".join(f"i{i}\ttitle {i}\t\t\t\t\n" for i in range(200))
    write_tiny(tmp_path, "\n".join(lines) + "\n", "", items, "groups")
    purchases_only(tmp_path, users=120, items=200, length=8)
    structured, noise = ndcg(tmp_path, "groups"), ndcg(tmp_path, "bought")
    chance = sum(1 / np.log2(rank + 1) for rank in range(1, 11)) / 200  # 0.023
    assert structured > 10 * chance and noise < 3 * chance
