"""Losses and masking by hand; both trainings learn where there is something to learn, and only there."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recformer_fakes import BOS, MASK, PAD, Words, numbered_items, shape, tiny_scorer
from torch import nn

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer import finetune, pretrain
from recbole_llmfashion.model.recformer.encoder import new_head
from recbole_llmfashion.model.recformer.finetune import StageSettings, draw_rows, item_loss, train_stage
from recbole_llmfashion.model.recformer.flatten import collate, flatten
from recbole_llmfashion.model.recformer.pretrain import (
    IGNORED,
    Masking,
    PretrainSettings,
    contrastive_loss,
    draw_pairs,
    mask_words,
    masked_lm_loss,
)

PRETRAIN = {
    "epochs": 1, "batch_size": 8, "learning_rate": 5e-3, "warmup_steps": 5, "weight_decay": 0.0, "temperature": 0.05,
    "mlm_weight": 0.1, "mask_share": 0.15, "freeze_words": False, "seed": 0,
}  # fmt: skip
STAGE = {
    "epochs": 1, "patience": 5, "eval_every": 1, "batch_size": 8, "gradient_accumulation": 1, "learning_rate": 5e-3,
    "warmup_steps": 5, "weight_decay": 0.0, "temperature": 0.05, "freeze_words": False, "refresh": True, "seed": 0,
}  # fmt: skip


def test_the_contrast_by_hand():
    histories = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    items = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    # row 0: cosines .6 and 1, own .6; row 1: cosines .8 and 0, own 0; at temperature 0.5 twice these
    expected = (np.log(1 + np.exp(2 * 0.4)) + np.log(1 + np.exp(2 * 0.8))) / 2
    assert contrastive_loss(histories, items, 0.5).item() == pytest.approx(expected)
    assert contrastive_loss(items, histories, 0.5).item() != pytest.approx(expected)  # one direction only


def test_the_item_loss_by_hand():
    scorer = tiny_scorer(numbered_items(3, words=9))
    scorer.refresh()
    history = [np.array([1, 2])]
    cosines = scorer.cosines(history)[0].detach().numpy()
    expected = np.log(np.exp(cosines / 0.05).sum()) - cosines[2] / 0.05
    assert item_loss(scorer, history, torch.tensor([2]), 0.05).item() == pytest.approx(expected, rel=1e-5)


def masked(columns, starts, share, seed=0):
    """Ids as they were, as they are masked, and the labels, of one entry."""
    words = Words()
    rows = flatten(columns, words, 64)
    opens = np.zeros(len(words.known) + 3, bool)
    opens[[words.known[word] for word in starts]] = True
    batch = collate(rows, [np.array([0])], shape(max_tokens=64))
    ids, labels = mask_words(batch, Masking(opens, MASK), share, np.random.default_rng(seed))
    return batch.ids[0], ids[0], labels[0]


@pytest.mark.parametrize("seed", range(20))
def test_words_are_masked_whole(seed):
    # words: title | a1 a2 a3 | b | c1 c2; a third of seven tokens are two: the word of three is always passed over
    ids, _, labels = masked({"title": ["a1 a2 a3 b c1 c2"]}, ["b", "c1"], 0.3, seed)
    chosen = (labels != IGNORED).tolist()
    assert chosen[0] is False and chosen[8:] == []
    assert not any(chosen[2:5]) and chosen[6] == chosen[7] and sum(chosen) == 2
    assert (labels[labels != IGNORED] == ids[labels != IGNORED]).all()


def test_a_word_ends_where_a_name_or_a_value_ends():
    found = {tuple((masked({"x": ["a"], "y": ["b"]}, [], 0.25, seed)[2] != IGNORED).tolist()) for seed in range(40)}
    assert found == {tuple(i == place for i in range(8)) for place in (1, 2, 3, 4)}


@pytest.mark.parametrize(("count", "share", "expected"), [(40, 0.15, 6), (3, 0.15, 1), (11, 0.5, 6), (20, 0.0, 1)])
def test_how_many_tokens_are_masked(count, share, expected):
    values = " ".join(f"v{i}" for i in range(count - 1))
    _, _, labels = masked({"x": [values]}, [f"v{i}" for i in range(count - 1)], share)
    assert int((labels != IGNORED).sum()) == expected


def test_what_stands_in_the_masked_places():
    columns = {"x": [" ".join(f"v{i}" for i in range(60))]}
    shares = np.zeros(3)
    for seed in range(60):
        ids, seen, labels = masked(columns, [f"v{i}" for i in range(60)], 1.0, seed)
        told = labels != IGNORED
        shares += [(seen[told] == MASK).sum(), (seen[told] == ids[told]).sum(), told.sum()]
        assert torch.equal(seen[~told], ids[~told])
    assert shares[0] / shares[2] == pytest.approx(0.8, abs=0.03)
    assert shares[1] / shares[2] == pytest.approx(0.1, abs=0.03)


@given(st.integers(1, 50), st.floats(0.05, 0.9), st.integers(0, 5))
def test_never_more_than_the_count_and_never_the_first_token(count, share, seed):
    values = [f"v{i}" for i in range(count)]
    _, _, labels = masked({"x": [" ".join(values)]}, values[::3], share, seed)
    chosen = labels != IGNORED
    assert not chosen[0] and 0 <= int(chosen.sum()) <= max(1, round(share * (count + 1)))


def test_the_language_model_loss_by_hand():
    head = nn.Linear(2, 3, bias=False)
    head.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    hidden = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    labels = torch.tensor([[0, 2, IGNORED]])
    expected = (np.log(np.e + 2) - 1 + np.log(2 + np.exp(2))) / 2
    assert masked_lm_loss(hidden, labels, head).item() == pytest.approx(expected)
    assert masked_lm_loss(hidden, torch.full((1, 3), IGNORED), head).item() == 0.0


def test_pairs_come_from_the_later_half():
    users = np.array([1, 2, 2, 3, 3, 3, 4, 4, 4, 4])  # 2, 3, 4 and 5 actions: targets from action max(1, (n - 1) // 2)
    drawn = np.stack([draw_pairs(users, np.random.default_rng(seed)) for seed in range(100)])
    assert [sorted(set(column.tolist())) for column in drawn.T] == [[0], [1, 2], [3, 4, 5], [7, 8, 9]]


def test_an_epoch_has_one_row_a_user():
    users = np.array([5, 5, 5, 2, 9, 9])
    drawn = np.stack([draw_rows(users, np.random.default_rng(seed)) for seed in range(60)])
    assert [sorted(set(column.tolist())) for column in drawn.T] == [[0, 1, 2], [3], [4, 5]]


def walks(users, items, structured, seed=0):
    """Rows of users whose next item shares its words with their last one, or is any item."""
    rng = np.random.default_rng(seed)
    words = [f"a{group} b{i % 3} c{i % 5}" for i in range(items) for group in [i % 6]]
    rows = flatten({"title": words}, Words(), 8)
    owners, histories, targets = [], [], []
    for user in range(users):
        group = user % 6
        taken = rng.integers(items // 6, size=5) * 6 + group if structured else rng.integers(items, size=5)
        for length in range(1, 5):
            owners.append(user)
            histories.append(taken[:length][::-1].astype(np.int64))
            targets.append(taken[length])
    return rows, np.array(owners), histories, np.array(targets)


def pretrained_accuracy(structured):
    rows, users, histories, targets = walks(64, 60, structured)
    scorer = tiny_scorer(rows, width=32)
    head = new_head(scorer.encoder, 0)
    masking = Masking(np.ones(int(rows.ids.max()) + 1, bool), MASK)
    settings = PretrainSettings(**PRETRAIN | {"epochs": 8})
    before = [parameter.clone() for parameter in scorer.encoder.parameters()]
    log = pretrain.pretrain(scorer, head, users, histories, targets, masking, settings, show_progress=False)
    assert log["steps"] == 64 and any(
        not torch.equal(a, b) for a, b in zip(before, scorer.encoder.parameters(), strict=True)
    )
    return log


def test_pre_training_learns_structure_and_nothing_from_noise():
    structured, noise = pretrained_accuracy(True), pretrained_accuracy(False)
    assert structured["last_accuracy"] > structured["first_accuracy"] + 0.1 and structured["last_contrast"] < 1.2
    assert noise["last_accuracy"] < 0.25  # 1 in 8 by chance
    assert structured["last_mlm"] < structured["first_mlm"] - 0.5  # names and groups can be told


def test_frozen_words_stay():
    rows, users, histories, targets = walks(16, 12, True)
    masking = Masking(np.ones(int(rows.ids.max()) + 1, bool), MASK)
    for freeze in (True, False):
        scorer = tiny_scorer(rows)
        words = scorer.encoder.longformer.get_input_embeddings().weight
        before = words.detach().clone()
        settings = PretrainSettings(**PRETRAIN | {"freeze_words": freeze})
        pretrain.pretrain(scorer, new_head(scorer.encoder, 0), users, histories, targets, masking, settings, False)
        assert torch.equal(words, before) is freeze and words.requires_grad
        assert not torch.equal(scorer.encoder.item_embedding.weight, tiny_scorer(rows).encoder.item_embedding.weight)


def hit_rate(scorer, histories, targets, k=10):
    scorer.refresh()
    with torch.no_grad():
        top = scorer.cosines(histories).topk(k, dim=1).indices
    return float((top == torch.from_numpy(targets)[:, None]).any(dim=1).float().mean())


def tuned_hit_rate(structured):
    rows, users, histories, targets = walks(120, 120, structured)
    scorer = tiny_scorer(rows, width=32)
    held_out = users >= 96
    learnt = [history for history, out in zip(histories, held_out, strict=True) if not out]
    settings = StageSettings(**STAGE | {"epochs": 8})
    train_stage(scorer, users[~held_out], learnt, targets[~held_out], settings, None, show_progress=False)
    asked = [history for history, out in zip(histories, held_out, strict=True) if out]
    return hit_rate(scorer, asked, targets[held_out])


def test_fine_tuning_learns_structure_and_nothing_from_noise():
    structured, noise = tuned_hit_rate(True), tuned_hit_rate(False)
    assert structured > 0.3 and noise < 0.2  # 10 of 120 by chance, 10 of 20 with the group known


class Spy:
    """Counts what a stage asks for, and gives the scores that it is told to."""

    def __init__(self, monkeypatch, scorer, scores=()):
        self.scorer, self.scores, self.heard, self.refreshed, self.optimizers = scorer, list(scores), [], 0, 0
        refresh, optimizer = scorer.refresh, finetune.Optimizer

        def counted_refresh():
            self.refreshed += 1
            refresh()

        def counted_optimizer(*args, **kwargs):
            self.optimizers += 1
            return optimizer(*args, **kwargs)

        monkeypatch.setattr(scorer, "refresh", counted_refresh)
        monkeypatch.setattr(finetune, "Optimizer", counted_optimizer)

    def validate(self):
        self.seen = self.scorer.state()
        self.kept = [*getattr(self, "kept", []), self.seen]
        return self.scores.pop(0)


def run_stage(spy, data, validate=True, **keys):
    users, histories, targets = data[1:]
    settings = {key: value for key, value in keys.items() if key != "best_score"}
    return train_stage(
        spy.scorer, users, histories, targets, StageSettings(**STAGE | settings),
        spy.validate if validate else None, keys.get("best_score"), lambda e, s: spy.heard.append((e, s)), False,
    )  # fmt: skip


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_stage_1_computes_items_each_epoch_and_keeps_the_best(monkeypatch):
    data = walks(16, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.1, 0.3, 0.2, 0.25])
    log = run_stage(spy, data, epochs=4)
    assert spy.refreshed == 4 and spy.optimizers == 1 and log.steps == 8
    assert log.best_score == 0.3 and spy.heard == log.scores == [(0, 0.1), (1, 0.3), (2, 0.2), (3, 0.25)]
    assert same(spy.scorer.state(), spy.kept[1]) and not same(spy.scorer.state(), spy.kept[3])


def test_stage_2_starts_afresh_from_the_best_with_the_items_as_they_are(monkeypatch):
    data = walks(16, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.3, 0.2, 0.25])
    run_stage(spy, data)
    first = spy.scorer.state()
    rates = []
    step = finetune.Optimizer.step if isinstance(finetune.Optimizer, type) else None
    assert step is None  # the spy stands in its place
    original = finetune.linear_rate
    monkeypatch.setattr(finetune, "linear_rate", lambda *args: rates.append(original(*args)) or rates[-1])
    log = run_stage(spy, data, refresh=False, epochs=2, best_score=0.3)
    assert spy.refreshed == 1 and spy.optimizers == 2
    assert rates[0] == 1 / 5 and rates == sorted(rates)  # its own warm-up from its own first step
    assert log.best_score == 0.3 and same(spy.scorer.state(), first)  # nothing was better
    assert torch.equal(spy.kept[-1]["items.safetensors"], first["items.safetensors"])
    assert not same(spy.kept[-1], first)


def test_patience_and_cadence(monkeypatch):
    data = walks(16, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.3, 0.2, 0.3, 0.1, 0.1])
    assert run_stage(spy, data, epochs=9, patience=2).epochs == 3  # an equal score is no gain
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.3, 0.2, 0.4])
    log = run_stage(spy, data, epochs=5, eval_every=2)
    assert [epoch for epoch, _ in log.scores] == [1, 3, 4]  # the last epoch is always looked at
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.3])
    assert run_stage(spy, data, epochs=2, eval_every=3).best_score == 0.3


def test_without_validation_the_last_epoch_stays(monkeypatch):
    data = walks(16, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]))
    log = run_stage(spy, data, validate=False, epochs=3)
    assert (log.epochs, log.scores, log.best_score) == (3, [], None)
    one = Spy(monkeypatch, tiny_scorer(data[0]))
    run_stage(one, data, validate=False, epochs=1)
    assert not same(spy.scorer.state(), one.scorer.state())


def test_accumulated_batches_are_one_step(monkeypatch):
    data = walks(20, 12, True)
    states = []
    for keys in ({"batch_size": 20}, {"batch_size": 5, "gradient_accumulation": 4}):
        spy = Spy(monkeypatch, tiny_scorer(data[0]))
        for module in spy.scorer.encoder.modules():  # dropout draws differ between the two
            module.dropout = (
                0.0 if isinstance(getattr(module, "dropout", None), float) else getattr(module, "dropout", 0)
            )
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        assert run_stage(spy, data, validate=False, **keys).steps == 1
        states.append(spy.scorer.state())
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], atol=2e-4, rtol=0)


def test_the_same_seed_trains_the_same(monkeypatch):
    data = walks(16, 12, True)
    spies = [Spy(monkeypatch, tiny_scorer(data[0])) for _ in range(2)]
    for spy in spies:
        torch.rand(3)
        run_stage(spy, data, validate=False, epochs=2)
    assert same(spies[0].scorer.state(), spies[1].scorer.state())


def test_a_loss_that_is_no_number(monkeypatch):
    data = walks(8, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]))
    with torch.no_grad():
        spy.scorer.encoder.item_embedding.weight.fill_(torch.nan)
    with pytest.raises(UserError, match="loss"):
        run_stage(spy, data, validate=False)
    assert (BOS, PAD) == (1, 0)
