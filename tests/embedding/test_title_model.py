import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import normalize

from recbole_llmfashion.embedding import title_model
from recbole_llmfashion.embedding.hard_negatives import NegativeMiner, hardest
from recbole_llmfashion.embedding.title_model import (
    TitleModel,
    TitleSettings,
    _Texts,
    derive_pairs,
    train_title_model,
    triplet_loss,
)
from recbole_llmfashion.errors import UserError
from tests.helpers.corpus import recall, shop, shuffled

SMALL = TitleSettings(vocab_size=300, width=24, hidden=32, epochs=8, batch_size=64, learning_rate=5e-3, seed=1)
SHARED = Path(os.environ.get("LLMFASHION_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data"


@pytest.fixture(scope="module")
def trained() -> TitleModel:
    train, _, catalogue = shop(0)
    return train_title_model(train, catalogue, SMALL, show_progress=False)


def test_triplet_loss() -> None:
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    title = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    hard_title = torch.tensor([[0.8, 0.6], [1.0, 0.0]])
    hard_query = torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    # row 1: s = .6, s(q, t-) = .8, s(q-, t) = .8: (.2 - .6 + .8) + (.2 - .6 + .8) = .8
    # row 2: s = 1, s(q, t-) = 0, s(q-, t) = .8: relu(-.8) + relu(.2 - 1 + .8) = 0
    assert triplet_loss(query, title, hard_title, hard_query, 0.2).item() == pytest.approx(0.4)
    # margin .5: row 1 .7 + .7, row 2 0 + .3
    assert triplet_loss(query, title, hard_title, hard_query, 0.5).item() == pytest.approx(0.85)


def test_negatives_of_a_step_are_no_positives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Query a has the titles x and y, query b the title y; each row may use what its own text is not paired with."""
    allowed = []

    def spy(anchors: torch.Tensor, candidates: torch.Tensor, mask: np.ndarray) -> torch.Tensor:
        allowed.append(mask.tolist())
        return hardest(anchors, candidates, mask)

    monkeypatch.setattr(title_model, "hardest", spy)
    pairs = [("a", "x"), ("a", "y"), ("b", "y"), ("c", "z")]
    settings = dataclasses.replace(SMALL, epochs=1, batch_size=4)
    rows = torch.tensor([0, 1, 2, 3])
    monkeypatch.setattr(torch, "randperm", lambda n, generator: rows)
    train_title_model(pairs, ["x", "y", "z"], settings, show_progress=False)
    titles, queries = allowed
    # columns: x, y, y, z for the queries a, a, b, c; then a, a, b, c for the titles x, y, y, z
    assert titles == [
        [False, False, False, True],
        [False, False, False, True],
        [True, False, False, True],
        [True, True, True, False],
    ]
    assert queries == [
        [False, False, True, True],
        [False, False, False, True],
        [False, False, False, True],
        [True, True, True, False],
    ]


@pytest.mark.parametrize(("start", "searches"), [(0, 8), (1, 7), (9, 0)])
def test_the_catalogue_is_mined_from_an_epoch_on(monkeypatch: pytest.MonkeyPatch, start: int, searches: int) -> None:
    """A text of the catalogue that is in no pair, the title 2, can only come from mining."""
    refreshed, embedded = [], []
    refresh, embed = NegativeMiner.refresh, _Texts.embed
    monkeypatch.setattr(NegativeMiner, "refresh", lambda self, *rows: (refreshed.append(1), refresh(self, *rows)))
    monkeypatch.setattr(_Texts, "embed", lambda self, ids: (embedded.extend(ids), embed(self, ids))[1])
    settings = dataclasses.replace(SMALL, epochs=8, mining_start_epoch=start)
    train_title_model([("a", "x"), ("b", "y")], ["x", "y", "unpaired"], settings, show_progress=False)
    assert len(refreshed) == searches
    assert (2 in embedded) is (searches > 0)


def test_a_text_is_read_once(trained: TitleModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal ids get equal rows in their order; the network reads distinct texts, as long as the longest of them."""
    shapes, forward = [], trained.network.forward
    monkeypatch.setattr(trained.network, "forward", lambda ids: (shapes.append(ids.shape), forward(ids))[1])
    texts = ["red boots", "brand3 summer sandals green with a very long tail of other words", "x"]
    rows = _Texts(trained, texts).embed(np.array([2, 0, 2, 2]))
    assert shapes == [(2, trained.pieces(texts[:1]).shape[1])]
    assert torch.allclose(rows, trained.embed(["x", "red boots", "x", "x"]), atol=1e-6)


def test_padding_does_not_change_an_embedding(trained: TitleModel) -> None:
    texts = ["red boots", "brand3 summer sandals green with a very long tail of other words", "x"]
    together = trained.embed(texts)
    alone = torch.cat([trained.embed([text]) for text in texts])
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(together.norm(dim=1), torch.ones(3), atol=1e-6)


def test_encode(trained: TitleModel) -> None:
    texts = ["red boots", "", "handbag", "red boots", "RED  Boots"]
    vectors = trained.encode(texts, batch_size=2)
    assert vectors.shape == (5, 32)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[0], vectors[3])
    assert np.allclose(vectors[0], vectors[4], atol=1e-6)
    assert np.allclose(vectors, normalize(trained.embed(texts), dim=1).detach().numpy(), atol=1e-6)
    assert not np.allclose(vectors[0], vectors[2], atol=0.1)
    assert trained.encode([]).shape == (0, 32)


def test_model_generalizes_to_new_queries(trained: TitleModel) -> None:
    _, held, catalogue = shop(0)
    right = [catalogue.index(title) for _, title in held]
    # chance is 3 / 120
    assert recall(trained.encode([q for q, _ in held]), trained.encode(catalogue), right, 3) > 0.8


def test_model_does_not_learn_from_shuffled_pairs() -> None:
    train, held, catalogue = shop(0)
    model = train_title_model(shuffled(train, 5), catalogue, SMALL, show_progress=False)
    right = [catalogue.index(title) for _, title in held]
    assert recall(model.encode([q for q, _ in held]), model.encode(catalogue), right, 3) < 0.1


def test_seed_determines_the_model_and_the_global_generator_is_not_used() -> None:
    train, _, catalogue = shop(0)
    settings = dataclasses.replace(SMALL, epochs=2)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    first = train_title_model(train[:100], catalogue, settings, show_progress=False).encode(catalogue)
    assert torch.equal(torch.rand(3), expected)
    again = train_title_model(train[:100], catalogue, settings, show_progress=False).encode(catalogue)
    other = dataclasses.replace(settings, seed=2)
    assert np.array_equal(first, again)
    assert not np.allclose(
        first, train_title_model(train[:100], catalogue, other, show_progress=False).encode(catalogue), atol=1e-3
    )


def test_save_and_load(tmp_path: Path, trained: TitleModel) -> None:
    trained.save(tmp_path / "title")
    assert np.array_equal(TitleModel.load(tmp_path / "title").encode(["red boots"]), trained.encode(["red boots"]))
    assert {path.suffix for path in (tmp_path / "title").iterdir()} == {".json", ".safetensors"}


def test_equal_titles_of_two_items_and_a_query_with_many_titles() -> None:
    train, _, catalogue = shop(0)
    pairs = [("boots", title) for title in catalogue if "boots" in title] + train[:30]
    model = train_title_model(
        pairs, catalogue + catalogue, dataclasses.replace(SMALL, epochs=3, batch_size=16), show_progress=False
    )
    assert np.isfinite(model.encode(catalogue)).all()


@pytest.mark.parametrize(
    "pairs", [[], [("a", "x")], [("a", "x"), ("a", "y")], [("a", "x"), ("b", "x"), ("a", "y"), ("b", "y")]]
)
def test_pairs_without_negatives(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(UserError, match="expected pairs that differ in query and title"):
        train_title_model(pairs, [title for _, title in pairs], SMALL, show_progress=False)


def test_derive_pairs() -> None:
    texts = [("Red leather boots", "Acme red 7 shoes"), ("Bag", ""), ("Two words", "")]
    pairs = derive_pairs(texts, seed=0)
    assert [title for _, title in pairs] == ["Red leather boots", "Bag", "Two words"]
    own = ["red", "leather", "boots", "acme", "7", "shoes"]
    chosen = pairs[0][0].split()
    assert len(chosen) == 3
    assert chosen == [word for word in own if word in chosen]
    assert pairs[1][0] == "bag"
    assert pairs[2][0] in ("two", "words")
    assert derive_pairs(texts, seed=0) == pairs
    assert len({derive_pairs(texts, seed=seed)[0][0] for seed in range(20)}) > 5


def test_each_field_of_the_negatives_changes_the_model() -> None:
    train, _, catalogue = shop(0)
    few = dataclasses.replace(SMALL, epochs=2)
    kinds = [few, dataclasses.replace(few, mined=1), dataclasses.replace(few, mining_start_epoch=0)]
    kinds.append(dataclasses.replace(few, max_length=2))
    found = [train_title_model(train, catalogue, one, show_progress=False).encode(catalogue) for one in kinds]
    for one in range(4):
        for other in range(one):
            assert not np.allclose(found[one], found[other], atol=1e-3), (one, other)


def test_words_beyond_max_length_are_not_read() -> None:
    train, _, catalogue = shop(0)
    settings = dataclasses.replace(SMALL, epochs=1)
    pair = ["red boots", "red boots " + "leather " * 30]
    short = train_title_model(train, catalogue, dataclasses.replace(settings, max_length=2), show_progress=False)
    whole = train_title_model(train, catalogue, dataclasses.replace(settings, max_length=128), show_progress=False)
    assert np.allclose(*short.encode(pair), atol=1e-6)
    assert not np.allclose(*whole.encode(pair), atol=1e-3)


def test_stage_inputs_of_the_defaults_have_the_first_names() -> None:
    """The stages of title models that exist keep their names."""
    first = {
        "vocab_size": 4000, "max_length": 24, "width": 64, "hidden": 128, "epochs": 8, "batch_size": 128,
        "learning_rate": 1e-3, "margin": 0.2, "mined": 4, "seed": 0,
    }  # fmt: skip
    assert TitleSettings().stage_inputs() == first
    assert TitleSettings(mining_start_epoch=0).stage_inputs() == first | {"mining_start_epoch": 0}


@pytest.mark.slow
def test_finds_real_titles_from_half_of_their_words() -> None:
    path = SHARED / "amazon_office" / "items.csv"
    if not path.exists():
        pytest.skip(f"no real data at {SHARED}; set LLMFASHION_SHARED")
    items = pd.read_csv(path, keep_default_na=False)
    texts = list(zip(items["title"], items["brand"], strict=True))
    held = np.random.default_rng(0).permutation(len(texts))[:600]
    train = [texts[i] for i in sorted(set(range(len(texts))) - set(held.tolist()))]
    catalogue = [title for title, _ in texts]
    model = train_title_model(derive_pairs(train, 1), catalogue, TitleSettings(epochs=4), show_progress=False)
    queries = model.encode([query for query, _ in derive_pairs([texts[i] for i in held], 2)])
    # chance is 10 / 3,459
    assert recall(queries, model.encode(catalogue), held.tolist(), 10) > 0.8
