"""A small simulated shop as training examples."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder
from recbole_llmfashion.data.atomic.writer import write_folder
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.dataset_tools.simulate.simulation import SimulationSettings, simulate_category
from recbole_llmfashion.llm.modeling.tiny_falcon import train_tokenizer
from recbole_llmfashion.llm.pretraining import simulated_shops as shops_module
from recbole_llmfashion.llm.pretraining.shop_examples import MAX_LENGTH, MAX_NEW_TOKENS, ShopExamples
from recbole_llmfashion.llm.pretraining.simulated_shops import SYLLABLES, read_shop, rename_brands
from recbole_llmfashion.prompt.response import parse_response
from tests.helpers.fakes import write_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> AtomicFolder:
    path = tmp_path_factory.mktemp("shops") / "footwear-9"
    made = simulate_category(SimulationSettings("footwear", users=60, seed=9, items=300), path)
    write_folder(made)
    return read_folder(path)


@pytest.fixture(scope="module")
def tokenizer(folder: AtomicFolder) -> Any:
    words = ["\nclick \nbuy \nsearch | product ID:, title: now top Predict the next purchase."] * 50
    return train_tokenizer([*(f" {title}" for title in folder.items["title"]), *words], 700)


@pytest.fixture(scope="module")
def shop(folder: AtomicFolder, tokenizer: Any) -> ShopExamples:
    return read_shop(folder.path, tokenizer, seed=5)


def brands_in(texts: list[str], folder: AtomicFolder) -> list[str]:
    brands = {brand for brand in folder.items["brand"] if brand}
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, brands)) + r")\b", re.IGNORECASE)
    return [text for text in texts if pattern.search(text)]


def test_brands_are_replaced_everywhere(folder: AtomicFolder, shop: ShopExamples, tokenizer: Any) -> None:
    renamed = rename_brands(folder, np.random.default_rng(5))
    columns = lambda f: [*f.items["title"], *f.items["brand"], *f.searches["query"]]  # noqa: E731
    assert len(brands_in(columns(folder), folder)) > 300
    assert brands_in(columns(renamed), folder) == []
    texts = [tokenizer.decode(ids) for example in shop.spelled for ids in (example.prompt, example.response)]
    assert brands_in(texts, folder) == [] and brands_in([tokenizer.decode(ids) for ids in shop.words], folder) == []
    # one name per brand; everything else, and the original folder, are unchanged
    pairs = set(zip(folder.items["brand"], renamed.items["brand"], strict=True))
    assert len(pairs) == folder.items["brand"].nunique() == renamed.items["brand"].nunique() > 10
    assert renamed.interactions is folder.interactions
    for column in ("item_id", "color", "size", "category"):
        assert renamed.items[column].equals(folder.items[column])
    assert renamed.searches["results"].equals(folder.searches["results"])
    assert folder.items.equals(read_folder(folder.path).items)


def hand_made(brands: list[str], titles: list[str], queries: list[str]) -> AtomicFolder:
    items = pd.DataFrame({"title": titles, "brand": brands})
    return AtomicFolder("x", Path("x"), pd.DataFrame(), pd.DataFrame({"query": queries}), items)


def test_rename_brands() -> None:
    brands = ["Fee", "Bee", "Dee", "Aee", "Cee", "Eee", "Long Bee"]
    rng = np.random.default_rng(3)
    drawn = ["".join(rng.choice(SYLLABLES, rng.integers(2, 4))).capitalize() for _ in range(7)]
    name = dict(zip(["Long Bee", "Aee", "Bee", "Cee", "Dee", "Eee", "Fee"], drawn, strict=True))
    assert len(set(drawn)) == 7
    titles = ["Fee Red Boots", "BEE boot", "Deep Dee's", "a aee", "Ceecee", "(Eee)", "Long bee, not Bee"]
    found = rename_brands(hand_made(brands, titles, ["fee boots", "no brand", "LONG BEE"]), np.random.default_rng(3))
    assert found.items["brand"].tolist() == [name[brand] for brand in brands]
    assert found.items["title"].tolist() == [
        f"{name['Fee']} Red Boots",
        f"{name['Bee']} boot",
        f"Deep {name['Dee']}'s",
        f"a {name['Aee'].lower()}",
        "Ceecee",
        f"({name['Eee']})",
        f"{name['Long Bee']}, not {name['Bee']}",
    ]
    assert found.searches["query"].tolist() == [f"{name['Fee'].lower()} boots", "no brand", name["Long Bee"]]


def test_shop_without_brands() -> None:
    plain = hand_made(["", ""], ["a", "b"], ["c"])
    assert rename_brands(plain, np.random.default_rng(0)) is plain


def last_purchases(folder: AtomicFolder) -> list[str]:
    """The last purchase of each user with earlier events, in order of users."""
    bought = []
    for user, rows in folder.interactions.groupby("user_id", sort=False):
        at = rows[rows["action"] == "purchase"].iloc[-1]
        searches = folder.searches[folder.searches["user_id"] == user]
        earlier = (searches["timestamp"] < at["timestamp"]).sum() + (rows.index < at.name).sum()
        if earlier:
            bought.append(at["item_id"])
    return bought


def test_responses_are_the_last_purchases(
    folder: AtomicFolder, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shops_module, "EARLIER", 0.0)
    shop = read_shop(folder.path, tokenizer, seed=5)
    bought = last_purchases(folder)
    assert len(bought) > 50
    answers = [parse_response(tokenizer.decode(e.response[:-1])) for e in shop.spelled]
    assert [answer.item_token for answer in answers] == bought
    ids = folder.items["item_id"].tolist()
    size = len(tokenizer)
    responses = [[int(t) - size for t in example.response if t >= size] for example in shop.listed]
    assert {len(tokens) for tokens in responses} == {1}
    # the click filter leaves a few users without earlier events
    listed = [ids[shop.positions[tokens[0]]] for tokens in responses]
    left = iter(bought)
    assert all(item in left for item in listed) and len(listed) >= 0.9 * len(bought)
    assert {int(example.response[-1]) for example in shop.listed} == {tokenizer.eos_token_id}


def test_some_responses_are_earlier_purchases(folder: AtomicFolder, shop: ShopExamples, tokenizer: Any) -> None:
    bought = folder.interactions[folder.interactions["action"] == "purchase"]
    answers = [parse_response(tokenizer.decode(e.response[:-1])).item_token for e in shop.spelled]
    assert set(answers) <= set(bought["item_id"])
    assert answers != last_purchases(folder)


def test_positions_and_words(folder: AtomicFolder, shop: ShopExamples, tokenizer: Any) -> None:
    tie = tie_rank(folder.items["item_id"].tolist())
    assert [int(shop.positions[rank]) for rank in tie] == list(range(300))
    renamed = rename_brands(folder, np.random.default_rng(5))
    for item in (0, 7, 299):
        title, color = renamed.items["title"][item].lower(), renamed.items["color"][item].lower()
        text = tokenizer.decode(shop.words[item])
        assert text.startswith(f" {title}") and color in text


def test_prompt_targets_of_listed_examples(shop: ShopExamples, tokenizer: Any) -> None:
    size = len(tokenizer)
    for example in shop.listed:
        assert example.prompt_targets is not None and bool((example.prompt[example.prompt_targets] >= size).all())
        assert 0 not in example.prompt_targets and example.prompt.max() < size + 300
    assert sum(len(e.prompt_targets) for e in shop.listed if e.prompt_targets is not None) > 100
    assert all(e.prompt_targets is None and max(e.prompt.max(), e.response.max()) < size for e in shop.spelled)


def test_lengths(shop: ShopExamples) -> None:
    for example in (*shop.listed, *shop.spelled):
        assert len(example.prompt) <= MAX_LENGTH - MAX_NEW_TOKENS and len(example.response) <= MAX_NEW_TOKENS
    assert max(map(len, shop.spelled)) > 200  # some were cut


def test_same_seed_same_examples(folder: AtomicFolder, shop: ShopExamples, tokenizer: Any) -> None:
    arrays = lambda w: [a.tolist() for e in (*w.listed, *w.spelled) for a in e.arrays()]  # noqa: E731
    assert arrays(read_shop(folder.path, tokenizer, seed=5)) == arrays(shop)
    assert arrays(read_shop(folder.path, tokenizer, seed=6)) != arrays(shop)


HEAD = "user_id:token\ttimestamp:float\tquery:token\tresults:token_seq\n"
SHOPPING = """user_id:token\titem_id:token\taction:token\ttimestamp:float
u1\t15\tclick\t1000
u1\t16\tpurchase\t3000
u2\t15\tclick\t1000
u2\t16\tpurchase\t3000
"""


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("red boots\t13", [["13"], ["11", "12"]]),  # results of the other user's search with the same words
        ("red boots\t12 13", [["12", "13"], ["11", "12"]]),
        ("gold clutch\t14", [["14"], ["11", "12"]]),  # no other search with these words: results of the nearest query
    ],
)
def test_own_search_is_left_out(tmp_path: Path, tokenizer: Any, other: str, expected: list) -> None:
    search = f"{HEAD}u1\t2000\tred boots\t11 12\nu2\t2000\t{other}\n"
    shop = read_shop(write_tiny(tmp_path, SHOPPING, search), tokenizer, seed=1)
    for examples in (shop.spelled, shop.listed):
        shown = []
        for example in examples:
            text = tokenizer.decode([t for t in example.prompt if t < len(tokenizer)])
            lines = [line for line in text.split("\n") if line.startswith("-")]
            shown.append([line.split(" ")[1] for line in lines] if examples is shop.spelled else len(lines))
        assert shown == (expected if examples is shop.spelled else [len(items) for items in expected])
