"""Attributes from reviews: the most frequent value wins, and the reviews of the targets have no vote."""

from pathlib import Path

import pandas as pd
import pytest

from recbole_llmfashion.data.atomic.folder import AtomicFolder, empty_searches
from recbole_llmfashion.dataset_tools.convert.item_votes import ItemVotes
from tests.helpers.convert import rows


def folder(*actions: tuple[str, str]) -> AtomicFolder:
    """A dataset with these actions of users on items, and the items a to d."""
    frame = pd.DataFrame(actions, columns=["user_id", "item_id"]).assign(action="purchase", timestamp=0.0)
    items = pd.DataFrame({"item_id": list("abcd"), "title": "t", "brand": "", "color": "", "size": "", "category": ""})
    return AtomicFolder("x", Path("x"), frame, empty_searches(), items)


def test_the_most_frequent_value_wins_and_the_first_of_equals():
    votes = ItemVotes(["fit", "occasion"])
    for values in (["small", "work"], ["fit", ""], ["fit", "party"], ["", "party"]):
        votes.add("u", "a", values)
    votes.add("u", "b", ["large", "date"])
    votes.add("v", "b", ["small", "date"])
    assert votes.winners(set()) == {"a": ["fit", "party"], "b": ["large", "date"]}


def test_columns_of_the_dataset():
    votes = ItemVotes(["size", "occasion", "fit"])
    votes.add("u", "a", ["8", "party", "fit"])
    found = votes.describe(folder(("v", "a"), ("v", "b"), ("v", "c")))
    assert rows(found.items[["item_id", "size", "occasion", "fit"]])[:2] == [
        ["a", "8", "party", "fit"],
        ["b", "", "", ""],
    ]
    assert found.further == {"fit": "token"} and found.item_types["occasion"] == "token"


@pytest.mark.parametrize("place", range(4))
def test_a_users_last_two_actions_have_no_vote(place):
    """Whatever the reviews of the validation's and the test's items say, no cell changes."""
    actions = [("u", item) for item in "abcd"]

    def cells(changed: str) -> list[str]:
        votes = ItemVotes(["occasion"])
        for number, (user, item) in enumerate(actions):
            votes.add(user, item, [changed if number == place else "work"])
        return votes.describe(folder(*actions)).items["occasion"].tolist()

    assert (cells("party") == cells("work")) == (place >= 2)


def test_only_the_users_that_are_left_have_targets():
    """A customer with one review is left out of the log; the review still describes its item."""
    votes = ItemVotes(["occasion"])
    votes.add("once", "c", ["wedding"])
    votes.add("u", "c", ["work"])
    assert votes.describe(folder(("u", "a"), ("u", "b"), ("u", "c"))).items["occasion"].tolist() == [
        "",
        "",
        "wedding",
        "",
    ]
