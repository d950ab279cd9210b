"""The loss with literal values, evaluations and best states of the stages, and training on structure and noise."""

import numpy as np
import pytest
import torch
from torch import nn

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer import finetune
from recbole_llmfashion.model.recformer.finetune import (
    StageSettings,
    draw_rows,
    item_loss,
    train_stage,
)
from tests.helpers.recformer import BOS, PAD, numbered_items, tiny_scorer, walks

STAGE = {
    "epochs": 1, "patience": 5, "eval_every": 1, "batch_size": 8, "gradient_accumulation_steps": 1,
    "learning_rate": 5e-3,
    "warmup_steps": 5, "weight_decay": 0.0, "temperature": 0.05, "freeze_words": False, "refresh": True, "seed": 0,
}  # fmt: skip


def test_item_loss():
    scorer = tiny_scorer(numbered_items(3, words=9))
    scorer.refresh()
    history = [np.array([1, 2])]
    cosines = scorer.cosines(history)[0].detach().numpy()
    expected = np.log(np.exp(cosines / 0.05).sum()) - cosines[2] / 0.05
    assert item_loss(scorer, history, torch.tensor([2]), 0.05).item() == pytest.approx(expected, rel=1e-5)


def test_draw_rows():
    users = np.array([5, 5, 5, 2, 9, 9])
    drawn = np.stack([draw_rows(users, np.random.default_rng(seed)) for seed in range(60)])
    assert [sorted(set(column.tolist())) for column in drawn.T] == [[0, 1, 2], [3], [4, 5]]


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
    kept = [history for history, out in zip(histories, held_out, strict=True) if out]
    return hit_rate(scorer, kept, targets[held_out])


def test_train_stage_learns_structure_and_nothing_from_noise():
    structured, noise = tuned_hit_rate(True), tuned_hit_rate(False)
    assert structured > 0.3 and noise < 0.2  # 10 of 120 by chance, 10 of 20 with the group known


class Spy:
    """Counts the calls of a stage and returns given scores."""

    def __init__(self, monkeypatch, scorer, scores=()):
        self.scorer, self.scores, self.reports, self.refreshed, self.optimizers = scorer, list(scores), [], 0, 0
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
        self.model_inputs = self.scorer.state()
        self.kept = [*getattr(self, "kept", []), self.model_inputs]
        return self.scores.pop(0)


def run_stage(spy, data, validate=True, **keys):
    users, histories, targets = data[1:]
    settings = {key: value for key, value in keys.items() if key != "best_score"}
    return train_stage(
        spy.scorer, users, histories, targets, StageSettings(**STAGE | settings),
        spy.validate if validate else None, keys.get("best_score"), lambda e, s: spy.reports.append((e, s)), False,
    )  # fmt: skip


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_stage_1_refreshes_items_and_keeps_the_best(monkeypatch):
    data = walks(16, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.1, 0.3, 0.2, 0.25])
    log = run_stage(spy, data, epochs=4)
    assert spy.refreshed == 4 and spy.optimizers == 1 and log.steps == 8
    assert log.best_score == 0.3 and spy.reports == log.scores == [(0, 0.1), (1, 0.3), (2, 0.2), (3, 0.25)]
    assert same(spy.scorer.state(), spy.kept[1]) and not same(spy.scorer.state(), spy.kept[3])


def test_stage_2_starts_from_the_best_and_keeps_the_items(monkeypatch):
    data = walks(16, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.3, 0.2, 0.25])
    run_stage(spy, data)
    first = spy.scorer.state()
    rates = []
    step = finetune.Optimizer.step if isinstance(finetune.Optimizer, type) else None
    assert step is None  # the spy replaces it
    original = finetune.linear_rate
    monkeypatch.setattr(finetune, "linear_rate", lambda *args: rates.append(original(*args)) or rates[-1])
    log = run_stage(spy, data, refresh=False, epochs=2, best_score=0.3)
    assert spy.refreshed == 1 and spy.optimizers == 2
    assert rates[0] == 1 / 5 and rates == sorted(rates)  # its own warm-up from its own first step
    assert log.best_score == 0.3 and same(spy.scorer.state(), first)  # nothing was better
    assert torch.equal(spy.kept[-1]["items.safetensors"], first["items.safetensors"])
    assert not same(spy.kept[-1], first)


def test_patience_and_eval_every(monkeypatch):
    data = walks(16, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.3, 0.2, 0.3, 0.1, 0.1])
    assert run_stage(spy, data, epochs=9, patience=2).epochs == 3  # an equal score is no gain
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.3, 0.2, 0.4])
    log = run_stage(spy, data, epochs=5, eval_every=2)
    assert [epoch for epoch, _ in log.scores] == [1, 3, 4]  # the last epoch is always looked at
    spy = Spy(monkeypatch, tiny_scorer(data[0]), [0.3])
    assert run_stage(spy, data, epochs=2, eval_every=3).best_score == 0.3


def test_last_epoch_is_kept_without_validation(monkeypatch):
    data = walks(16, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]))
    log = run_stage(spy, data, validate=False, epochs=3)
    assert (log.epochs, log.scores, log.best_score) == (3, [], None)
    one = Spy(monkeypatch, tiny_scorer(data[0]))
    run_stage(one, data, validate=False, epochs=1)
    assert not same(spy.scorer.state(), one.scorer.state())


def test_gradient_accumulation(monkeypatch):
    data = walks(20, 12, True)
    states = []
    for keys in ({"batch_size": 20}, {"batch_size": 5, "gradient_accumulation_steps": 4}):
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


def test_same_seed_same_weights(monkeypatch):
    data = walks(16, 12, True)
    spies = [Spy(monkeypatch, tiny_scorer(data[0])) for _ in range(2)]
    for spy in spies:
        torch.rand(3)
        run_stage(spy, data, validate=False, epochs=2)
    assert same(spies[0].scorer.state(), spies[1].scorer.state())


def test_nan_loss(monkeypatch):
    data = walks(8, 12, True)
    spy = Spy(monkeypatch, tiny_scorer(data[0]))
    with torch.no_grad():
        spy.scorer.encoder.item_embedding.weight.fill_(torch.nan)
    with pytest.raises(UserError, match="loss"):
        run_stage(spy, data, validate=False)
    assert (BOS, PAD) == (1, 0)
