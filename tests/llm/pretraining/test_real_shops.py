"""Examples of a real dataset: which rows they are made from, and that the others do not change them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder, read_folder
from recbole_llmfashion.data.atomic.writer import folder_sha256, write_folder
from recbole_llmfashion.data.split import TEST, VALID, split_codes
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.tiny_falcon import train_tokenizer
from recbole_llmfashion.llm.pretraining import real_shops
from recbole_llmfashion.llm.pretraining.real_shops import (
    read_real_shop,
    read_validation,
    training_part,
    validation_part,
)
from recbole_llmfashion.llm.pretraining.shop_examples import ShopExamples
from tests.helpers.fakes import write_tiny

ITEMS = 40


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    words = [f" plain shoe number {n}" for n in range(ITEMS)]
    return train_tokenizer(
        [*words, *["\nclick \nbuy \nsearch | product ID:, title: now Predict the next purchase."] * 9], 500
    )


def log(root: Path, seed: int, clicks: bool, searches: bool) -> AtomicFolder:
    """Thirty users of two to twelve actions, the last one a purchase."""
    rng = np.random.default_rng(seed)
    rows, typed = [], []
    for user in range(30):
        length = int(rng.integers(2, 13))
        for step in range(length):
            bought = not clicks or step == length - 1 or rng.random() < 0.5
            when = 1.6e9 + 1000 * step
            rows.append((f"u{user:02}", str(rng.integers(ITEMS)), "purchase" if bought else "click", when))
            if searches and step < length - 1 and rng.random() < 0.5:
                typed.append((f"u{user:02}", when + 500, f"shoe {step}", f"{rng.integers(ITEMS)}"))
    items = pd.DataFrame({"item_id": map(str, range(ITEMS)), "title": [f"Plain shoe number {n}" for n in range(ITEMS)]})
    for column in ("brand", "color", "size", "category"):
        items[column] = ""
    made = AtomicFolder(
        "real",
        root / "real",
        pd.DataFrame(rows, columns=["user_id", "item_id", "action", "timestamp"]),
        pd.DataFrame(typed, columns=["user_id", "timestamp", "query", "results"]),
        items,
    )
    write_folder(made)
    return read_folder(made.path)


def arrays(shop: ShopExamples) -> list[list[int]]:
    return [array.tolist() for example in shop.listed for array in example.arrays()]


def targets(shop: ShopExamples, tokenizer: Any) -> list[int]:
    """The catalogue position of each response's item."""
    size = len(tokenizer)
    return [int(shop.positions[token - size]) for e in shop.listed for token in e.response if token >= size]


def from_end(frame: pd.DataFrame) -> np.ndarray:
    """How many actions of the same user follow each action."""
    return frame.groupby("user_id").cumcount(ascending=False).to_numpy()


CASES = [(clicks, searches) for clicks in (False, True) for searches in (False, True)]


@pytest.mark.parametrize(("clicks", "searches"), CASES)
@pytest.mark.parametrize("change", ["items", "actions", "searches"])
def test_the_last_two_actions_of_a_user_change_nothing(
    tmp_path: Path, tokenizer: Any, clicks: bool, searches: bool, change: str
) -> None:
    folder = log(tmp_path / "a", 7, clicks, searches)
    before, seen = read_real_shop(folder.path, tokenizer, 1.0)
    frame, typed = folder.interactions.copy(), folder.searches
    late = from_end(frame) < 2
    if change == "items":
        frame.loc[late, "item_id"] = [str((int(item) + 17) % ITEMS) for item in frame.loc[late, "item_id"]]
    elif change == "actions":  # the last stays a purchase
        second = from_end(frame) == 1
        frame.loc[second, "item_id"], frame.loc[late, "timestamp"] = "0", frame.loc[late, "timestamp"] + 10
    else:
        third = frame[from_end(frame) == 2].set_index("user_id")["timestamp"]
        after = typed["timestamp"] >= typed["user_id"].map(third).fillna(0)
        typed = typed.assign(query=np.where(after, "another query", typed["query"]), results=typed["results"])
    changed = AtomicFolder("real", tmp_path / "b" / "real", frame, typed, folder.items)
    write_folder(changed)
    after_change, other = read_real_shop(changed.path, tokenizer, 1.0)
    assert len(before.listed) > 5 and arrays(after_change) == arrays(before)
    assert other.training_sha256 == seen.training_sha256
    if change != "searches" or (searches and typed["query"].eq("another query").any()):
        assert other.data_sha256 != seen.data_sha256


@pytest.mark.parametrize("clicks", [False, True])
def test_an_earlier_action_changes_the_examples(tmp_path: Path, tokenizer: Any, clicks: bool) -> None:
    folder = log(tmp_path / "a", 7, clicks, searches=False)
    before, seen = read_real_shop(folder.path, tokenizer, 1.0)
    frame = folder.interactions.copy()
    frame.loc[from_end(frame) == 4, "item_id"] = "3"
    write_folder(AtomicFolder("real", tmp_path / "b" / "real", frame, folder.searches, folder.items))
    after, other = read_real_shop(tmp_path / "b" / "real", tokenizer, 1.0)
    assert arrays(after) != arrays(before) and other.training_sha256 != seen.training_sha256


@pytest.mark.parametrize(("clicks", "searches"), CASES)
def test_parts_of_the_split(tmp_path: Path, clicks: bool, searches: bool) -> None:
    folder = log(tmp_path, 3, clicks, searches)
    frame = folder.interactions
    codes = split_codes(pd.factorize(frame["user_id"])[0], (frame["action"] == "purchase").to_numpy())
    training, validation = training_part(folder), validation_part(folder)
    held = frame[np.isin(codes, (VALID, TEST))]
    both = training.interactions.merge(held, how="inner")
    assert len(training.interactions) and both.empty  # times differ, so no held out action equals another
    last = validation.interactions.groupby("user_id").tail(1).reset_index(drop=True)
    assert last.equals(frame[codes == VALID].reset_index(drop=True))
    for part in (training, validation):
        newest = part.interactions.groupby("user_id")["timestamp"].max()
        assert (part.searches["timestamp"] < part.searches["user_id"].map(newest)).all()
        assert bool(len(part.searches)) == searches


def test_examples_and_what_was_seen(tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = log(tmp_path, 3, clicks=False, searches=False)
    shop, seen = read_real_shop(folder.path, tokenizer, 2.5)
    assert (shop.name, shop.passes, shop.spelled) == ("real", 2.5, [])
    kept = training_part(folder).interactions
    assert (seen.users, seen.actions) == (kept["user_id"].nunique(), len(kept))
    assert seen.data_sha256 == folder_sha256(folder.path, "real")
    # one example per user with a purchase before their last one in the training part
    long = [group for _, group in kept.groupby("user_id", sort=False) if len(group) > 1]
    assert targets(shop, tokenizer) == [int(group["item_id"].iloc[-1]) for group in long]
    monkeypatch.setattr(real_shops, "WINDOW", 3)
    more, _ = read_real_shop(folder.path, tokenizer, 2.5)
    assert len(more.listed) == sum(len(range(len(group) - 1, 0, -3)) for group in long) > len(shop.listed)


def test_validation_rows(tmp_path: Path, tokenizer: Any) -> None:
    folder = log(tmp_path, 3, clicks=False, searches=False)
    rows = [group for _, group in folder.interactions.groupby("user_id", sort=False) if len(group) > 2]
    shop = read_validation(folder.path, tokenizer)
    assert targets(shop, tokenizer) == [int(group["item_id"].iloc[-2]) for group in rows]


def test_dataset_without_training_rows(tmp_path: Path, tokenizer: Any) -> None:
    inter = "user_id:token\titem_id:token\taction:token\ttimestamp:float\nu1\t11\tpurchase\t1\nu1\t12\tpurchase\t2\n"
    folder = write_tiny(tmp_path, inter, "")
    with pytest.raises(UserError, match=r"real_datasets: .*tiny has no training row") as error:
        read_real_shop(folder, tokenizer, 1.0)
    assert "\n" not in str(error.value)
