"""A small simulated shop as training examples."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder, write_folder
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.dataset_tools.simulate.simulation import SimulationSettings, simulate_category
from recbole_llmfashion.llm.modeling.tiny_falcon import train_tokenizer
from recbole_llmfashion.llm.pretraining import simulated_shops as shops_module
from recbole_llmfashion.llm.pretraining.simulated_shops import (
    MAX_LENGTH,
    MAX_NEW_TOKENS,
    SYLLABLES,
    SimulatedShop,
    read_shop,
    rename_brands,
)
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
def shop(folder: AtomicFolder, tokenizer: Any) -> SimulatedShop:
    return read_shop(folder.path, tokenizer, seed=5)


def brands_in(texts: list[str], folder: AtomicFolder) -> list[str]:
    brands = {brand for brand in folder.items["brand"] if brand}
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, brands)) + r")\b", re.IGNORECASE)
    return [text for text in texts if pattern.search(text)]


def test_no_brand_is_left_in_any_text(folder: AtomicFolder, shop: SimulatedShop, tokenizer: Any) -> None:
    renamed = rename_brands(folder, np.random.default_rng(5))
    columns = lambda f: [*f.items["title"], *f.items["brand"], *f.searches["query"]]  # noqa: E731
    assert len(brands_in(columns(folder), folder)) > 300
    assert brands_in(columns(renamed), folder) == []
    texts = [tokenizer.decode(ids) for example in shop.spelled for ids in (example.prompt, example.response)]
    assert brands_in(texts, folder) == [] and brands_in([tokenizer.decode(ids) for ids in shop.words], folder) == []
    # one name for each brand, everything else as it was, and the folder that was given too
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


def test_names_by_hand_follow_the_seed_and_no_sets_order() -> None:
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


def test_a_shop_without_brands_stays() -> None:
    plain = hand_made(["", ""], ["a", "b"], ["c"])
    assert rename_brands(plain, np.random.default_rng(0)) is plain


def last_purchases(folder: AtomicFolder) -> list[str]:
    """By user, in order, the item bought last, of those who did anything before."""
    bought = []
    for user, rows in folder.interactions.groupby("user_id", sort=False):
        at = rows[rows["action"] == "purchase"].iloc[-1]
        searches = folder.searches[folder.searches["user_id"] == user]
        earlier = (searches["timestamp"] < at["timestamp"]).sum() + (rows.index < at.name).sum()
        if earlier:
            bought.append(at["item_id"])
    return bought


def test_an_example_ends_with_the_users_last_purchase(
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
    said = [[int(t) - size for t in example.response if t >= size] for example in shop.listed]
    assert {len(tokens) for tokens in said} == {1}
    # the click filter may leave a user with nothing before: those are few
    listed = [ids[shop.positions[tokens[0]]] for tokens in said]
    left = iter(bought)
    assert all(item in left for item in listed) and len(listed) >= 0.9 * len(bought)
    assert {int(example.response[-1]) for example in shop.listed} == {tokenizer.eos_token_id}


def test_some_examples_end_at_an_earlier_purchase(folder: AtomicFolder, shop: SimulatedShop, tokenizer: Any) -> None:
    bought = folder.interactions[folder.interactions["action"] == "purchase"]
    answers = [parse_response(tokenizer.decode(e.response[:-1])).item_token for e in shop.spelled]
    assert set(answers) <= set(bought["item_id"])
    assert answers != last_purchases(folder)


def test_positions_say_which_item_a_token_is(folder: AtomicFolder, shop: SimulatedShop, tokenizer: Any) -> None:
    tie = tie_rank(folder.items["item_id"].tolist())
    assert [int(shop.positions[rank]) for rank in tie] == list(range(300))
    renamed = rename_brands(folder, np.random.default_rng(5))
    for item in (0, 7, 299):
        title, color = renamed.items["title"][item].lower(), renamed.items["color"][item].lower()
        text = tokenizer.decode(shop.words[item])
        assert text.startswith(f" {title}") and color in text


def test_named_places_are_the_items_of_listed_prompts_alone(shop: SimulatedShop, tokenizer: Any) -> None:
    size = len(tokenizer)
    for example in shop.listed:
        assert example.named is not None and bool((example.prompt[example.named] >= size).all())
        assert 0 not in example.named and example.prompt.max() < size + 300
    assert sum(len(e.named) for e in shop.listed if e.named is not None) > 100
    assert all(e.named is None and max(e.prompt.max(), e.response.max()) < size for e in shop.spelled)


def test_prompts_fit(shop: SimulatedShop) -> None:
    for example in (*shop.listed, *shop.spelled):
        assert len(example.prompt) <= MAX_LENGTH - MAX_NEW_TOKENS and len(example.response) <= MAX_NEW_TOKENS
    assert max(map(len, shop.spelled)) > 200  # some were cut


def test_the_same_seed_makes_the_same_world(folder: AtomicFolder, shop: SimulatedShop, tokenizer: Any) -> None:
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
        ("red boots\t13", [["13"], ["11", "12"]]),  # what the other's search for the same words showed
        ("red boots\t12 13", [["12", "13"], ["11", "12"]]),
        ("gold clutch\t14", [["14"], ["11", "12"]]),  # no other search for these words: the nearest key answers
    ],
)
def test_a_prompts_own_search_is_left_out(tmp_path: Path, tokenizer: Any, other: str, expected: list) -> None:
    search = f"{HEAD}u1\t2000\tred boots\t11 12\nu2\t2000\t{other}\n"
    shop = read_shop(write_tiny(tmp_path, SHOPPING, search), tokenizer, seed=1)
    for examples in (shop.spelled, shop.listed):
        shown = []
        for example in examples:
            text = tokenizer.decode([t for t in example.prompt if t < len(tokenizer)])
            lines = [line for line in text.split("\n") if line.startswith("-")]
            shown.append([line.split(" ")[1] for line in lines] if examples is shop.spelled else len(lines))
        assert shown == (expected if examples is shop.spelled else [len(items) for items in expected])
