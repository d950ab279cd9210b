from collections.abc import Callable

import numpy as np
import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, collate, left_pad
from recbole_llmfashion.llm.finetuning.step.loss import response_loss
from recbole_llmfashion.llm.finetuning.step.optimizer import Optimizer
from recbole_llmfashion.llm.modeling.item_embeddings import ItemWords
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon
from recbole_llmfashion.llm.pretraining.loop import (
    BackbonePretrainSettings,
    copy_batch,
    item_table,
    listed_loss,
    plan_steps,
    pretrain,
)
from recbole_llmfashion.llm.pretraining.model_card import target_ranks
from recbole_llmfashion.llm.pretraining.shop_examples import ShopExamples

Copying = Callable[..., list[Example]]
ASK, EOS, ITEMS, VOCABULARY = 3, 1, 30, 60


def spelling(examples: list[Example], name: str = "x") -> ShopExamples:
    """A shop with spelled examples only."""
    return ShopExamples(name, [], [], examples, np.zeros(0, np.int64))


def described(n: int, seed: int, shuffled: bool = False) -> ShopExamples:
    """Items of three words; a prompt has two of them in any order, the response is the item, or a random one."""
    rng = np.random.default_rng(seed)
    words = [rng.choice(np.arange(4, VOCABULARY), 3, replace=False) for _ in range(ITEMS)]
    positions = rng.permutation(ITEMS)
    token = VOCABULARY + np.argsort(positions)
    requested = rng.integers(0, ITEMS, n)
    answered = rng.permutation(requested) if shuffled else requested
    listed = [
        Example(
            np.r_[rng.permutation(words[item])[:2], ASK].astype(np.int32), np.r_[token[answer], EOS].astype(np.int32)
        )
        for item, answer in zip(requested, answered, strict=True)
    ]
    return ShopExamples("described", words, listed, [], positions)


def share_right(model: torch.nn.Module, examples: list[Example]) -> float:
    """Share of first response tokens that the model ranks first."""
    ids, mask = left_pad([example.prompt for example in examples], 0)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    wanted = torch.tensor([int(example.response[0]) for example in examples])
    return float((logits[:, -1].argmax(-1) == wanted).float().mean())


def test_copy_batch() -> None:
    rng = np.random.default_rng(0)
    alphabet = np.arange(5, 50)
    lengths = set()
    for _ in range(200):
        batch = copy_batch(alphabet, 2, rng)
        length = batch.input_ids.shape[1] // 3
        lengths.add(length)
        first, second, third = batch.input_ids.split(length, 1)
        assert torch.equal(first, second) and torch.equal(first, third)
        assert batch.response_mask.sum(1).tolist() == [2 * length] * 2 and not batch.response_mask[:, :length].any()
        assert int(batch.input_ids.min()) >= 5
    assert (min(lengths), max(lengths)) == (10, 40)


def test_plan_steps(ids_in_prompts: Copying) -> None:
    few, many = (described(n, 0).listed for n in (50, 100))
    shops = [ShopExamples("a", [], few, many, np.zeros(0)), ShopExamples("b", [], [], few, np.zeros(0))]
    plan = lambda **kw: plan_steps(shops, BackbonePretrainSettings(batch_size=8, **kw), np.random.default_rng(0))  # noqa: E731
    steps = plan(copy_steps=3, listed_passes=2.0, spelled_passes=0.5)
    kinds = [(step.shop, step.listed) for step in steps]
    assert kinds[:3] == [(None, False)] * 3 and (None, False) not in kinds[3:]
    # batches per pass: 7 of 50, 13 of 100; round(13 / 2) = 6, round(7 / 2) = 4
    assert [kinds.count(kind) for kind in ((0, True), (0, False), (1, True), (1, False))] == [14, 6, 0, 4]
    assert kinds[3:17] != [(0, True)] * 14  # mixed
    rows = np.concatenate([step.rows for step in steps if step.shop == 0 and step.listed])
    assert np.bincount(rows).tolist() == [2] * 50
    assert len(plan(copy_steps=0, listed_passes=1.5, spelled_passes=0)) == round(14 * 1.5 / 2)
    assert len(plan(copy_steps=2, listed_passes=0, spelled_passes=0)) == 2
    assert [s.rows.tolist() for s in plan(copy_steps=1)] == [s.rows.tolist() for s in plan(copy_steps=1)]


def test_passes_of_a_shop_go_before_those_of_the_settings() -> None:
    listed = described(50, 0).listed
    shops = [ShopExamples("a", [], listed, [], np.zeros(0)), ShopExamples("b", [], listed, [], np.zeros(0), passes=3.0)]
    settings = BackbonePretrainSettings(copy_steps=0, listed_passes=1.0, batch_size=10)
    steps = plan_steps(shops, settings, np.random.default_rng(0))
    assert [sum(step.shop == number for step in steps) for number in range(2)] == [5, 15]


def test_the_clock_ends_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reading of the clock is a second after the one before."""
    seconds = iter(range(1000))
    monkeypatch.setattr("recbole_llmfashion.llm.pretraining.loop.time.monotonic", lambda: float(next(seconds)))
    rates: list[float] = []
    step = Optimizer.step
    monkeypatch.setattr(Optimizer, "step", lambda self, rate: (rates.append(rate), step(self, rate))[1])
    settings = BackbonePretrainSettings(copy_steps=200, batch_size=2, warmup_steps=1, max_minutes=0.5)
    log = pretrain(new_tiny_falcon(VOCABULARY, 16, 1, 2, seed=0), [], settings, show_progress=False, norm=3.0)
    assert log["steps"] == len(rates) and 10 < len(rates) < 20 and log["norm"] == pytest.approx(3.0)
    assert rates == sorted(rates, reverse=True) and rates[0] > 0.9 and 0.1 <= rates[-1] < 0.25


def test_same_seed_same_weights(ids_in_prompts: Copying) -> None:
    settings = BackbonePretrainSettings(
        copy_steps=3, listed_passes=1, spelled_passes=1, batch_size=4, warmup_steps=2, seed=3
    )
    models = [new_tiny_falcon(VOCABULARY, 16, 1, 2, seed=0) for _ in range(4)]
    corpus = [spelling(ids_in_prompts(12, 0, VOCABULARY, 3)), described(8, 0)]
    logs = [pretrain(model, corpus, settings, show_progress=False) for model in models[:2]]
    assert [log.pop("seconds") >= 0 for log in logs] == [True, True] and logs[0] == logs[1]
    # three copying batches of four, three spelled ones of 12 prompts of 9 tokens, two listed ones of 8 of 5
    assert logs[0]["steps"] == 3 + 3 + 2 and logs[0]["tokens"] >= 3 * 4 * 30 + 12 * 9 + 8 * 5
    assert logs[0].keys() == {"norm", "copy_loss", "listed_loss", "spelled_loss", "tokens", "steps"}
    assert logs[0]["norm"] > 0 and logs[0]["norm"] != 2.0  # the norm is trained too
    pretrain(models[2], corpus, BackbonePretrainSettings(**{**vars(settings), "seed": 4}), show_progress=False)
    for one, two, other, fresh in zip(*(m.parameters() for m in models), strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, fresh) and not torch.equal(one, other)


def test_listed_loss() -> None:
    shop = described(5, 0)
    model = new_tiny_falcon(VOCABULARY, 16, 1, 2, seed=0).eval()
    batch = collate(shop.listed, 0)
    weight = model.get_input_embeddings().weight
    units = ItemWords(shop.words, VOCABULARY).units(weight)
    norm = torch.tensor(1.5)
    with torch.no_grad():
        table = item_table(model, ItemWords(shop.words, VOCABULARY), norm, shop.positions)
        found = listed_loss(model, batch, table)
        # the same with every item's row in the embedding
        model.resize_token_embeddings(VOCABULARY + ITEMS, mean_resizing=False)
        rows = model.get_input_embeddings().weight
        rows[VOCABULARY:] = units[torch.from_numpy(shop.positions)] * norm
        sums, counts = response_loss(model, batch)
    assert float(found) == pytest.approx(float(sums.sum() / counts.sum()), rel=1e-5)


def test_nan_loss() -> None:
    model = new_tiny_falcon(40, 16, 1, 2, seed=0)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(torch.nan)
    with pytest.raises(UserError, match="loss is nan at step 1"):
        pretrain(model, [], BackbonePretrainSettings(copy_steps=2), show_progress=False)


@pytest.mark.parametrize("shuffled", [False, True])
def test_learns_to_copy_an_id(shuffled: bool, ids_in_prompts: Copying) -> None:
    model = new_tiny_falcon(24, 32, 2, 2, seed=0)
    settings = BackbonePretrainSettings(
        copy_steps=0, spelled_passes=4, batch_size=64, learning_rate=1e-2, warmup_steps=10, weight_decay=0.01, seed=1
    )
    examples = ids_in_prompts(1500, 1, 24, 1, shuffled)
    with torch.no_grad():
        sums, counts = response_loss(model, collate(examples[:64], 0))
    log = pretrain(model, [spelling(examples)], settings, show_progress=False)
    right = share_right(model, ids_in_prompts(300, 2, 24, 1))
    if shuffled:
        assert right < 0.15  # chance is 0.05
    else:
        assert right > 0.9 and log["spelled_loss"] < 0.5 * float(sums.sum() / counts.sum())


@pytest.mark.parametrize("shuffled", [False, True])
def test_learns_how_words_make_an_item(shuffled: bool) -> None:
    """Measured in a shop of other items with other combinations of words."""
    model = new_tiny_falcon(VOCABULARY, 32, 1, 2, seed=0)
    settings = BackbonePretrainSettings(
        copy_steps=0, listed_passes=2, batch_size=32, learning_rate=1e-2, warmup_steps=10, weight_decay=0.01, seed=1
    )
    unseen = described(200, 99)
    before = target_ranks(model, unseen, 2.0).mean()
    log = pretrain(model, [described(400, seed, shuffled) for seed in range(5)], settings, show_progress=False)
    ranks = target_ranks(model, unseen, log["norm"])
    if shuffled:
        assert ranks.mean() > 10  # chance is 15.5
    else:
        assert ranks.mean() < 3 and ranks.mean() < before / 2


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", [False, True])
def test_learns_to_copy_from_any_position(shuffled: bool, ids_in_prompts: Copying) -> None:
    model = new_tiny_falcon(300, 128, 2, 4, seed=0)
    settings = BackbonePretrainSettings(copy_steps=500, spelled_passes=3, seed=1)
    corpus = [spelling(ids_in_prompts(3000, 1, 300, 20, shuffled))]
    log = pretrain(model, corpus, settings, show_progress=False)
    right = share_right(model, ids_in_prompts(300, 2, 300, 20))
    assert log["copy_loss"] < 2.0
    if shuffled:
        assert right < 0.15  # a random token of the prompt: 1 in 20
    else:
        assert right > 0.9
