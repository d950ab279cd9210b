"""The training rows that become prompts; every action of a long history is in a prompt or a target."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.prompt.builder import PromptSettings
from recbole_llmfashion.prompt.training_examples import EarlierRows, may_respond, most_prompts, training_rows
from tests.helpers.fakes import INTER
from tests.helpers.shop import KINDS, loader_for

# two users with interleaved rows; user 1 searches before the third action
USERS = np.array([1, 2, 1, 2, 1, 1, 2])
LENGTHS = np.array([1, 1, 3, 2, 4, 5, 3])
PURCHASE = np.array([0, 1, 1, 0, 0, 1, 0])
EVERY = np.ones(7, bool)


@pytest.mark.parametrize(("per_user", "rows"), [(1, [1, 5]), (2, [1, 2, 5, 6]), (3, [1, 2, 3, 4, 5, 6])])
def test_training_rows(per_user, rows):
    assert training_rows(USERS, PURCHASE, per_user).tolist() == rows


@pytest.mark.parametrize(("per_user", "rows"), [(1, [1, 5]), (2, [1, 2, 5]), (3, [1, 2, 5])])
def test_training_rows_of_purchases(per_user, rows):
    assert training_rows(USERS, PURCHASE, per_user, "purchase").tolist() == rows
    clicks_of_user_2 = PURCHASE * (USERS == 1)
    assert training_rows(USERS, clicks_of_user_2, per_user, "purchase").tolist() == [row for row in rows if row != 1]
    assert training_rows(USERS, PURCHASE * 0, per_user, "purchase").tolist() == []


def test_earlier_rows_of_purchases():
    """User 1 has purchases after 3 and 5 events, user 2 after 1; a prompt shows the last events before its row."""
    earlier = EarlierRows(USERS, LENGTHS, PURCHASE == 1)
    # the first purchase that the prompt shows; without one, the latest before it, of the same user
    assert [earlier.before(np.array([5]), np.array([n])).tolist() for n in (2, 3, 4, 0)] == [[2], [2], [2], []]
    assert [earlier.before(np.array([2]), np.array([n])).tolist() for n in (1, 2)] == [[], []]
    assert earlier.before(np.array([1, 5]), np.array([0, 4])).tolist() == [2]


def test_earlier_rows():
    # of user 1 two events had no room: the third event is the first that was shown, and an action; of user 2 all fit
    assert EarlierRows(USERS, LENGTHS, EVERY).before(np.array([5, 6]), np.array([3, 0])).tolist() == [2]
    # the second event is a search, shown without an item before it: the first item shown is the third's
    assert EarlierRows(USERS, LENGTHS, EVERY).before(np.array([5, 6]), np.array([2, 1])).tolist() == [1, 2]
    assert EarlierRows(USERS, LENGTHS, EVERY).before(np.array([5, 6]), np.array([0, 0])).tolist() == []


def test_earlier_rows_of_the_oldest_prompt_only():
    assert EarlierRows(USERS, LENGTHS, EVERY).before(np.array([4, 5]), np.array([1, 3])).tolist() == [0]


def test_earlier_rows_of_an_empty_prompt():
    assert EarlierRows(USERS, LENGTHS, EVERY).before(np.array([5]), np.array([5])).tolist() == []


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 7))
def test_every_action_is_in_a_prompt_or_a_target(counts, room):
    """Prompts of at most `room` events: each action except the first is a target."""
    users = np.repeat(np.arange(len(counts)), counts)
    lengths = np.concatenate([np.arange(1, count + 1) for count in counts])
    rows = training_rows(users, np.ones(len(users), int), 1)
    learned = set()
    for _ in range(40):
        dropped = np.maximum(0, lengths[rows] - room)
        for row, left in zip(rows, dropped, strict=True):
            learned |= {(int(users[row]), event) for event in range(left + 1, int(lengths[row]) + 1)}
        rows = EarlierRows(users, lengths, np.ones(len(users), bool)).before(rows, dropped)
    assert not len(rows)
    assert learned == {(user, event) for user, count in enumerate(counts) for event in range(1, count + 1)}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=25), st.integers(1, 4), st.data())
def test_the_number_of_prompts_is_within_its_bounds(log, per_user, data):
    """Users with interleaved rows, and prompts that drop any number of events."""
    users, purchase = map(np.array, zip(*log, strict=True))
    lengths = np.array([(users[:row] == user).sum() + 1 for row, user in enumerate(users)])
    responses = data.draw(st.sampled_from(["all", "purchase"]))
    possible = may_respond(purchase, responses)
    chosen = rows = training_rows(users, purchase, per_user, responses)
    prompts = []
    while len(rows):
        prompts += rows.tolist()
        dropped = np.array([data.draw(st.integers(0, int(length))) for length in lengths[rows]])
        rows = EarlierRows(users, lengths, possible).before(rows, dropped)
    assert len(set(prompts)) == len(prompts)
    assert len(chosen) <= len(prompts) <= most_prompts(users, chosen, possible) <= possible.sum()


def test_the_most_prompts_are_reached():
    """Prompts of a single event: every possible row of user 1 before the chosen one, none of user 2 after it."""
    rows = training_rows(USERS, PURCHASE, 1)
    prompts = 0
    while len(rows):
        prompts += len(rows)
        rows = EarlierRows(USERS, LENGTHS, EVERY).before(rows, LENGTHS[rows] - 1)
    assert prompts == most_prompts(USERS, training_rows(USERS, PURCHASE, 1), EVERY) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_training_prompts_of_a_long_history(tmp_path, kind):
    """Eighty more clicks of one user: the targets of all prompts are the actions of the log."""
    clicks = [f"u1\t{11 + at % 2 * 2}\tclick\t{1600000000 + 1000 * at}\n" for at in range(80)]
    head, _, rest = INTER.partition("\n")
    short = PromptSettings((), max_length=200, max_new_tokens=40, dates=False, item_text=False)
    loader = loader_for(tmp_path, "train", settings=short, kind=kind, inter=f"{head}\n{''.join(clicks)}{rest}")
    feat = loader._dataset.inter_feat
    users, targets = feat["user_id"].numpy(), feat["item_id"].numpy() - 1
    last = training_rows(users, feat["target_purchase"].numpy(), 1)
    alone, whole = (list(loader.training_prompts(1, "all", every)) for every in (False, True))
    assert [row.target for row in alone] == targets[last].tolist() and len(whole) > len(alone)
    learned = [item for row in whole for item in (*row.prompt.items[1 : row.prompt.acted], row.target)]
    log = [target for row, target in enumerate(targets.tolist()) if row <= last[users[last] == users[row]][0]]
    assert len(log) > 80 and sorted(learned) == sorted(log)


def test_training_prompts_of_a_long_history_by_purchases(tmp_path):
    """Eighty more actions of one user, every tenth a purchase: every response is one, and every click is shown."""
    kinds = [(12, "purchase") if at % 10 == 9 else (11 + at % 2 * 2, "click") for at in range(80)]
    rows = [f"u1\t{item}\t{kind}\t{1600000000 + 1000 * at}\n" for at, (item, kind) in enumerate(kinds)]
    head, _, rest = INTER.partition("\n")
    short = PromptSettings((), max_length=200, max_new_tokens=40, dates=False, item_text=False)
    loader = loader_for(tmp_path, "train", settings=short, inter=f"{head}\n{''.join(rows)}{rest}")
    whole = [row for row in loader.training_prompts(1, "purchase", True) if row.user == 1]
    assert len(whole) > 2 and all(row.purchase for row in whole)
    assert not all(row.purchase for row in loader.training_prompts(1, "all", True) if row.user == 1)
    # of the log: 80 actions and the click before the last training purchase
    learned = [item for row in whole for item in (*row.prompt.items[: row.prompt.acted], row.target)]
    assert len(learned) >= 82 and whole[-1].prompt.dropped == 0
