"""TextKNN by hand, TextSASRec as RecBole's SASRec over other rows; both by the small tower and by an encoder."""

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender import SASRec
from torch import nn

from recbole_llmfashion.data.loaders import make_loaders, rows_of
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.text_knn import TextKNN
from recbole_llmfashion.model.text_sasrec import TextSASRec
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.recbole_models import train_or_load
from tests.helpers.encoders import save_encoder
from tests.helpers.fakes import INTER, ITEM, purchases_only, replace_test_targets, write_tiny

HAND = INTER.splitlines()[0] + "\n" + "".join(f"u1\t{item}\tpurchase\t{time}\n" for time, item in enumerate("abcde"))
ITEMS = ITEM.splitlines()[0] + "\n" + "".join(f"{item}\ttitle {item}\t\t\t\t\n" for item in "abcde")
# e has the title of b, so their cosines are equal
VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0], [0, 1]], np.float32)
KEYS = {"show_progress": False, "topk": [10], "valid_metric": "NDCG@10"}


def built(model, root, **keys):
    config = load_config(model.__name__, "tiny", overrides={"data_path": str(root), **KEYS, "topk": [2], **keys})
    return model(config, rows_of(make_loaders(config).train))


def batch_of(history):
    items = torch.zeros((1, 20), dtype=torch.int64)
    items[0, : len(history)] = torch.tensor(["abcde".index(item) + 1 for item in history])
    return Interaction({"item_id_list": items, "item_length": torch.tensor([len(history)])})


def ranked(model, history):
    """Item letters, best first, for a history, oldest first."""
    scores = model.full_sort_predict(batch_of(history))
    assert scores.isfinite().all() and len(scores.unique()) == 6 and scores[0, 0] == scores.min()
    return "".join("abcde"[i] for i in (scores[0].argsort(descending=True)[:-1] - 1))


def test_text_knn_by_hand(tmp_path):
    write_tiny(tmp_path, HAND, "", ITEMS)
    model = built(TextKNN, tmp_path)
    model.attach(VECTORS)
    equal = "be" if model.tie[1] < model.tie[4] else "eb"
    assert ranked(model, "a") == f"ac{equal}d"  # 1, .6, 0, 0, -1
    assert ranked(model, "aac") == f"ac{equal}d"  # of (2.6, .8): .96, .81, .29, .29, -.96
    assert ranked(model, "bbc") == f"{equal}cad"  # of (.6, 2.8): .98, .98, .91, .21, -.21
    assert ranked(model, "abab")[0] == "c"  # of (2, 2): .99 and .71


def test_text_knn_reads_the_last_items_only(tmp_path):
    write_tiny(tmp_path, HAND, "", ITEMS)
    model = built(TextKNN, tmp_path, knn_history=1)
    model.attach(VECTORS)
    assert ranked(model, "da") == ranked(model, "a") and ranked(model, "ad") == ranked(model, "d")
    with pytest.raises(UserError, match="knn_history: expected a whole number of 1 or more, found '0'"):
        built(TextKNN, tmp_path, knn_history=0)


def test_text_sasrec_is_recboles_sasrec_over_the_rows_of_the_vectors(tmp_path):
    write_tiny(tmp_path)
    model = built(TextSASRec, tmp_path, hidden_size=4)
    vectors = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
    model.attach(vectors)
    with torch.no_grad():
        model.item_embedding.linear.bias.fill_(0.5)
    rows = model.item_embedding.weight
    scaled = 3 * torch.from_numpy(vectors)  # the root of nine
    torch.testing.assert_close(rows[1:], scaled @ model.item_embedding.linear.weight.T + 0.5)
    assert rows[0].tolist() == [0.5] * 4  # the pad
    recbole = built(SASRecWith, tmp_path, hidden_size=4)
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("item_embedding")}
    recbole.load_state_dict(state | {"item_embedding.weight": rows.detach()})
    part = rows_of(
        make_loaders(load_config("TextSASRec", "tiny", overrides={"data_path": str(tmp_path), "topk": [2]})).train
    )
    batch = part[torch.arange(len(part))]
    model.eval(), recbole.eval()
    torch.testing.assert_close(model.full_sort_predict(batch), recbole.full_sort_predict(batch))
    torch.testing.assert_close(model.calculate_loss(batch), recbole.calculate_loss(batch))


class SASRecWith(SASRec):
    """RecBole's, under a name of this package."""


SASRecWith.__name__ = "SASRec"


def test_only_the_linear_layer_trains_and_is_saved(tmp_path):
    write_tiny(tmp_path)
    model = built(TextSASRec, tmp_path)
    model.attach(np.eye(6, dtype=np.float32))
    names = {name for name, _ in model.named_parameters() if name.startswith("item_embedding")}
    assert names == {"item_embedding.linear.weight", "item_embedding.linear.bias"} <= model.state_dict().keys()
    assert "item_embedding.vectors" not in model.state_dict() and isinstance(model.item_embedding.linear, nn.Linear)


def groups(root, name="groups", titled=True, seed=0):
    """Users who stay among ten of a hundred items whose titles share two words; or whose titles share none."""
    rng = np.random.default_rng(seed)
    lines = [f"u{u}\ti{10 * (u % 10) + rng.integers(10)}\tpurchase\t{t}" for u in range(60) for t in range(8)]
    order = np.arange(100) if titled else rng.permutation(100)
    words = [f"kind{place // 10}{'abcdefghijklmnopqrst'[place // 10] * 3} number{place % 10}" for place in order]
    items = ITEM.splitlines()[0] + "\n" + "".join(f"i{i}\t{word}\t\t\t\t\n" for i, word in enumerate(words))
    write_tiny(root, "\n".join([INTER.splitlines()[0], *lines]) + "\n", "", items, name)


CHANCE = sum(1 / np.log2(rank + 1) for rank in range(1, 11)) / 100  # 0.045


def result_of(root, model, name, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    return run_experiment(load_config(model, name, overrides={**folders, **KEYS, **keys}))


def test_text_knn_needs_titles_that_tell(tmp_path):
    encoder = str(save_encoder(tmp_path / "encoder"))
    groups(tmp_path)
    groups(tmp_path, "shuffled", titled=False)
    found = result_of(tmp_path, "TextKNN", "groups", text_encoder=encoder)
    assert found.details["text_encoder"] == "folder:encoder" and list(found.seconds) == ["sentences", "total"]
    assert found.metrics["ndcg@10"] > 5 * CHANCE
    assert result_of(tmp_path, "TextKNN", "shuffled", text_encoder=encoder).metrics["ndcg@10"] < 2 * CHANCE


@pytest.mark.slow
def test_without_an_encoder_both_read_the_small_tower_of_the_log(tmp_path):
    """No search, so the tower trains on halves of the titles; one stage serves both models."""
    groups(tmp_path)
    purchases_only(tmp_path, users=60, items=100, length=8)
    small = {"epochs": 6, "learning_rate": 0.005, "train_batch_size": 64, "n_layers": 1}
    knn = result_of(tmp_path, "TextKNN", "groups")
    sasrec = result_of(tmp_path, "TextSASRec", "groups", **small)
    assert knn.details["text_encoder"] == sasrec.details["text_encoder"] == "trained on the log"
    assert "clip" in sasrec.reused and "train_TextSASRec" in sasrec.seconds
    assert min(knn.metrics["ndcg@10"], sasrec.metrics["ndcg@10"]) > 5 * CHANCE
    assert result_of(tmp_path, "TextSASRec", "bought", **small).metrics["ndcg@10"] < 2 * CHANCE


class NamesOnly(StageStore):
    """Returns the folder that a stage would have; builds nothing."""

    def get(self, name, inputs, build):
        raise LookupError(self.path(name, inputs).name)


def test_a_stage_is_named_after_the_vectors_and_not_after_the_place_of_their_encoder(tmp_path):
    write_tiny(tmp_path)

    def name_of(vectors, encoder):
        keys = {"data_path": str(tmp_path), "topk": [2], "text_encoder": encoder}
        config = load_config("TextSASRec", "tiny", overrides=keys)
        with pytest.raises(LookupError) as error:
            train_or_load(config, make_loaders(config), NamesOnly(tmp_path), vectors=vectors)
        return str(error.value)

    one, other = np.eye(6, dtype=np.float32), np.eye(6, dtype=np.float32)[::-1]
    assert name_of(one, "a/b") == name_of(one.copy(), "c/d") != name_of(other, "a/b")


@pytest.mark.slow
def test_stages_follow_the_vectors_and_no_test_target(tmp_path):
    encoder, moved = (str(save_encoder(tmp_path / name)) for name in ("encoder", "moved"))
    other = str(save_encoder(tmp_path / "other", seed=1))
    groups(tmp_path)
    keys = {"epochs": 1, "train_batch_size": 512, "click_filter": "none"}
    first = result_of(tmp_path, "TextSASRec", "groups", text_encoder=encoder, **keys)
    again = result_of(tmp_path, "TextSASRec", "groups", text_encoder=moved, **keys)
    assert {"sentences", "train_TextSASRec"} <= set(again.reused)
    assert first.ranks["rank"].tolist() == again.ranks["rank"].tolist()
    assert "train_TextSASRec" not in result_of(tmp_path, "TextSASRec", "groups", text_encoder=other, **keys).reused
    replace_test_targets(tmp_path / "groups", tmp_path / "scrambled/groups")
    scrambled = result_of(
        tmp_path, "TextSASRec", "groups", text_encoder=encoder, **keys, data_path=str(tmp_path / "scrambled")
    )
    assert {"sentences", "train_TextSASRec"} <= set(scrambled.reused)
    assert scrambled.ranks["target"].tolist() != first.ranks["target"].tolist()


@pytest.mark.parametrize("model", ["TextKNN", "TextSASRec"])
def test_the_history_is_masked_as_for_every_model(tmp_path, model):
    write_tiny(tmp_path)
    encoder = str(save_encoder(tmp_path / "encoder"))
    keys = {
        "text_encoder": encoder,
        "topk": [3],
        "valid_metric": "NDCG@3",
        **({"epochs": 1} if model == "TextSASRec" else {}),
    }
    masked = result_of(tmp_path, model, "tiny", **keys, mask_history=True).ranks
    assert not {"11", "12"} & set(masked.set_index("user").loc["u3", "top"])


def test_without_two_titles_there_is_no_tower(tmp_path):
    items = ITEM.splitlines()[0] + "\n" + "".join(f"{item}\tsock\t\t\t\t\n" for item in "abcde")
    write_tiny(tmp_path, HAND, "", items)
    with pytest.raises(UserError, match=r"^text_encoder: the items have no two different titles"):
        result_of(tmp_path, "TextKNN", "tiny", topk=[2], valid_metric="NDCG@2")


@pytest.mark.parametrize("model", ["TextKNN", "TextSASRec"])
def test_bad_values_are_found_before_anything_trains(tmp_path, model):
    groups(tmp_path)
    broken = save_encoder(tmp_path / "broken", pooling=None)
    for keys, words in (
        ({"text_encoder": str(broken)}, "text_encoder: .* has no pooling config"),
        ({"text_encoder": ""}, "text_encoder: expected"),
        ({"clip_pretrained": "opnai"}, "clip_pretrained: 'opnai' is neither"),
        ({"cold_token": True}, "cold_token: works with RecBole's ID models"),
    ):
        with pytest.raises(UserError, match=words):
            result_of(tmp_path, model, "groups", **keys)
    assert not (tmp_path / "saved").exists()
