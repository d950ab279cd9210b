"""Table 1 and sequence lengths."""

from dataclasses import replace

import numpy as np
import pytest

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.atomic.time_order import time_order
from recbole_llmfashion.data.split import sequence_lengths
from recbole_llmfashion.study.analysis.counts import BIN_LABELS, BIN_STARTS, facts, length_statistics, order_notes
from recbole_llmfashion.study.analysis.document import assemble
from recbole_llmfashion.study.analysis.measure import measure
from tests.helpers import fakes


def test_table_1_by_hand(tiny):
    found = measure(tiny).counts
    assert (found.users, found.items, found.interactions) == (3, 6, 12)
    assert (found.mean_length, found.per_item) == (4.0, 2.0)
    assert found.density == 12 / 18


def test_clicks_on_purchased_items_are_not_counted(tmp_path):
    inter = fakes.INTER.replace("u1\t13\tclick", "u1\t16\tclick").replace("u3\t16\tclick", "u3\t14\tclick")
    folder = read_folder(fakes.write_tiny(tmp_path, inter=inter))
    assert sequence_lengths(folder.interactions).tolist() == [5, 2, 3]
    assert measure(folder).lengths.all_clicks == 4.0


def test_lengths_by_hand(tiny):
    found = measure(tiny).lengths
    assert (found.mean, found.lower, found.median, found.upper) == (4.0, 3.0, 4.0, 5.0)
    assert dict(zip(BIN_LABELS, found.shares, strict=True)) == pytest.approx(
        dict.fromkeys(BIN_LABELS, 0) | {"1-2": 1 / 3, "3-4": 1 / 3, "5-7": 1 / 3}
    )


def test_bins():
    lengths = np.array([1, 2, 3, 7, 8, 39, 40, 5000])
    shares = length_statistics(lengths, 0).shares
    assert np.array(shares) * 8 == pytest.approx([2, 1, 1, 1, 0, 0, 1, 2])
    spans = [label.replace("+", "").replace("-", " ").split() for label in BIN_LABELS]
    assert [int(span[0]) for span in spans] == list(BIN_STARTS)
    assert [int(span[1]) + 1 for span in spans[:-1]] == list(BIN_STARTS[1:])


def test_the_order_of_the_data(tiny):
    rows = tiny.interactions.assign(timestamp=1.7e9)
    known, tied = facts(tiny, "ab"), facts(replace(tiny, interactions=rows), "ab")
    assert known["time_order"] == time_order(tiny.interactions).entry() and known["time_order"]["customers"] == 2
    assert (known["time_order"]["equal_times"], tied["time_order"]["equal_times"]) == (0.0, 1.0)
    by_item = "50.0% of the customers have their items in the order of item ids"  # u1's, from 11 to 16
    notes = order_notes({"known": known, "tied": tied})
    assert [note.partition(" (")[0] for note in notes[:2]] == [
        f"{name}: warning: {by_item}" for name in ("known", "tied")
    ]
    assert [note.partition(";")[0] for note in notes[2:]] == [
        "tied: warning: 100.0% of neighbouring actions share a timestamp"
    ]


def test_analyze_writes_the_order_of_the_data(tiny):
    tied = replace(tiny, interactions=tiny.interactions.assign(timestamp=1.7e9))
    document = assemble([replace(measure(tiny), facts=facts(tied, "ab"))], [], "analyze")
    assert document.as_json()["data"]["tiny"]["time_order"]["equal_times"] == 1.0
    assert document.notes[-1].startswith("tiny: warning: ")
