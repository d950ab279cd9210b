"""Losses, masking and pairs with literal values, and a pre-training on structured and on random histories."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recbole_llmfashion.model.recformer import pretrain
from recbole_llmfashion.model.recformer.encoder import new_head
from recbole_llmfashion.model.recformer.flatten import collate, flatten
from recbole_llmfashion.model.recformer.pretrain import (
    IGNORED,
    Masking,
    RecformerPretrainSettings,
    contrastive_loss,
    draw_pairs,
    mask_words,
    masked_lm_loss,
)
from tests.helpers.recformer import MASK, Words, shape, tiny_scorer, walks

PRETRAIN = {
    "epochs": 1, "batch_size": 8, "learning_rate": 5e-3, "warmup_steps": 5, "weight_decay": 0.0, "temperature": 0.05,
    "mlm_weight": 0.1, "mask_share": 0.15, "freeze_words": False, "seed": 0,
}  # fmt: skip


def test_contrastive_loss():
    histories = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    items = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    # row 0: cosines .6 and 1, own .6; row 1: cosines .8 and 0, own 0; at temperature 0.5 twice these
    expected = (np.log(1 + np.exp(2 * 0.4)) + np.log(1 + np.exp(2 * 0.8))) / 2
    assert contrastive_loss(histories, items, 0.5).item() == pytest.approx(expected)
    assert contrastive_loss(items, histories, 0.5).item() != pytest.approx(expected)  # one direction only


def masked(columns, starts, share, seed=0):
    """The ids of one entry, its masked ids, and the labels."""
    words = Words()
    rows = flatten(columns, words, 64)
    opens = np.zeros(len(words.known) + 3, bool)
    opens[[words.known[word] for word in starts]] = True
    batch = collate(rows, [np.array([0])], shape(max_tokens=64), 1)
    ids, labels = mask_words(batch, Masking(opens, MASK), share, np.random.default_rng(seed))
    return batch.ids[0], ids[0], labels[0]


@given(st.integers(0, 2**32 - 1))
def test_whole_words_are_masked(seed):
    # words: title | a1 a2 a3 | b | c1 c2; 30 % of seven tokens are two, so the word of three is never chosen
    ids, _, labels = masked({"title": ["a1 a2 a3 b c1 c2"]}, ["b", "c1"], 0.3, seed)
    chosen = (labels != IGNORED).tolist()
    assert chosen[0] is False and chosen[8:] == []
    assert not any(chosen[2:5]) and chosen[6] == chosen[7] and sum(chosen) == 2
    assert (labels[labels != IGNORED] == ids[labels != IGNORED]).all()


def test_words_end_with_a_name_or_value():
    found = {tuple((masked({"x": ["a"], "y": ["b"]}, [], 0.25, seed)[2] != IGNORED).tolist()) for seed in range(40)}
    assert found == {tuple(i == place for i in range(8)) for place in (1, 2, 3, 4)}


@pytest.mark.parametrize(("count", "share", "expected"), [(40, 0.15, 6), (3, 0.15, 1), (11, 0.5, 6), (20, 0.0, 1)])
def test_number_of_masked_tokens(count, share, expected):
    values = " ".join(f"v{i}" for i in range(count - 1))
    _, _, labels = masked({"x": [values]}, [f"v{i}" for i in range(count - 1)], share)
    assert int((labels != IGNORED).sum()) == expected


def test_replacements_of_masked_tokens():
    columns = {"x": [" ".join(f"v{i}" for i in range(60))]}
    shares = np.zeros(3)
    for seed in range(60):
        ids, seen, labels = masked(columns, [f"v{i}" for i in range(60)], 1.0, seed)
        chosen = labels != IGNORED
        shares += [(seen[chosen] == MASK).sum(), (seen[chosen] == ids[chosen]).sum(), chosen.sum()]
        assert torch.equal(seen[~chosen], ids[~chosen])
    assert shares[0] / shares[2] == pytest.approx(0.8, abs=0.03)
    assert shares[1] / shares[2] == pytest.approx(0.1, abs=0.03)


@given(st.integers(1, 50), st.floats(0.05, 0.9), st.integers(0, 5))
def test_mask_is_within_the_limit_and_never_bos(count, share, seed):
    values = [f"v{i}" for i in range(count)]
    _, _, labels = masked({"x": [" ".join(values)]}, values[::3], share, seed)
    chosen = labels != IGNORED
    assert not chosen[0] and 0 <= int(chosen.sum()) <= max(1, round(share * (count + 1)))


def test_masked_lm_loss():
    head = nn.Linear(2, 3, bias=False)
    head.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    hidden = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    labels = torch.tensor([[0, 2, IGNORED]])
    expected = (np.log(np.e + 2) - 1 + np.log(2 + np.exp(2))) / 2
    assert masked_lm_loss(hidden, labels, head).item() == pytest.approx(expected)
    assert masked_lm_loss(hidden, torch.full((1, 3), IGNORED), head).item() == 0.0


def test_draw_pairs():
    users = np.array([1, 2, 2, 3, 3, 3, 4, 4, 4, 4])  # 2, 3, 4 and 5 actions: targets from action max(1, (n - 1) // 2)
    drawn = np.stack([draw_pairs(users, np.random.default_rng(seed)) for seed in range(100)])
    assert [sorted(set(column.tolist())) for column in drawn.T] == [[0], [1, 2], [3, 4, 5], [7, 8, 9]]


def pretrained_accuracy(structured):
    rows, users, histories, targets = walks(64, 60, structured)
    scorer = tiny_scorer(rows, width=32)
    head = new_head(scorer.encoder, 0)
    masking = Masking(np.ones(int(rows.ids.max()) + 1, bool), MASK)
    settings = RecformerPretrainSettings(**PRETRAIN | {"epochs": 8})
    before = [parameter.clone() for parameter in scorer.encoder.parameters()]
    log = pretrain.pretrain(scorer, head, users, histories, targets, masking, settings, show_progress=False)
    assert log["steps"] == 64 and any(
        not torch.equal(a, b) for a, b in zip(before, scorer.encoder.parameters(), strict=True)
    )
    return log


def test_pretrain_learns_structure_and_nothing_from_noise():
    structured, noise = pretrained_accuracy(True), pretrained_accuracy(False)
    assert structured["last_accuracy"] > structured["first_accuracy"] + 0.1 and structured["last_contrast"] < 1.2
    assert noise["last_accuracy"] < 0.25  # 1 in 8 by chance
    assert structured["last_mlm"] < structured["first_mlm"] - 0.5  # names and groups are predictable


def test_freeze_words():
    rows, users, histories, targets = walks(16, 12, True)
    masking = Masking(np.ones(int(rows.ids.max()) + 1, bool), MASK)
    for freeze in (True, False):
        scorer = tiny_scorer(rows)
        words = scorer.encoder.longformer.get_input_embeddings().weight
        before = words.detach().clone()
        settings = RecformerPretrainSettings(**PRETRAIN | {"freeze_words": freeze})
        pretrain.pretrain(scorer, new_head(scorer.encoder, 0), users, histories, targets, masking, settings, False)
        assert torch.equal(words, before) is freeze and words.requires_grad
        assert not torch.equal(scorer.encoder.item_embedding.weight, tiny_scorer(rows).encoder.item_embedding.weight)
