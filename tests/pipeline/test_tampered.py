"""Tampered run folders: each is refused with one line, or its lists are those of the untouched run."""

import random
import shutil
from collections import Counter

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.load import load_run
from recbole_llmfashion.pipeline.manifest import export_run
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers import tampering

SEED, DAMAGED, SIGNED, QUICK = 20, 150, 150, 45
SESSIONS = [
    [{"action": "search", "query": "red boots", "timestamp": 1701000000}],
    [
        {"action": "click", "item_id": "13", "timestamp": 1701000000},
        {"action": "purchase", "item_id": "14", "timestamp": 1701000009},
        {"action": "search", "query": "blue 1", "timestamp": 1701000010},
    ],
]


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("tampered") / "run"
    export_run(tiny_run, out, 1)
    return out


def outcome(folder, work):
    """`refused`, or what `work` returns; anything but one line is a failure."""
    try:
        return work(folder)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 600, str(error)
        return "refused"


def lists(folder):
    recommender = Recommender.load(folder)
    return [[line.item for line in recommender.recommend(actions, k=6)] for actions in SESSIONS]


def drawn(count, seed, makers):
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        yield draw, makers[number % len(makers)]


@pytest.mark.slow
def test_three_hundred_tampered_folders(exported, tmp_path):
    expected, counts, failures = lists(exported), Counter(), []
    work = [*drawn(DAMAGED, SEED, [tampering.damaged]), *drawn(SIGNED, SEED + 1, tampering.SIGNED)]
    for draw, tamper in work:
        folder = tmp_path / "copy"
        shutil.copytree(exported, folder)
        done = tamper(folder, draw)
        try:
            found = outcome(folder, lists)
        except Exception as error:  # a traceback for the user: the failure that this test looks for
            found = f"{type(error).__name__}: {error}"
        shutil.rmtree(folder)
        kind = "refused" if found == "refused" else "same lists" if found == expected else "FAILED"
        counts[f"{tamper.__name__}: {kind}"] += 1
        if kind == "FAILED":
            failures.append((done, found))
    print(f"\n{len(work)} tampered folders, seed {SEED}: {dict(sorted(counts.items()))}")
    assert not failures, failures
    assert sum(count for name, count in counts.items() if name.endswith("refused")) > 250


def test_tampered_folders_are_refused_before_the_model_is_loaded(exported, tmp_path, monkeypatch):
    """The quick part of the table: what is found without the LLM."""
    counts = Counter()
    for draw, tamper in drawn(QUICK, SEED + 2, [tampering.damaged, *tampering.SIGNED]):
        folder = tmp_path / "copy"
        shutil.copytree(exported, folder)
        done = tamper(folder, draw)
        counts[outcome(folder, lambda folder: load_run(folder, model=False) and "loaded")] += 1
        assert done
        shutil.rmtree(folder)
    assert counts["refused"] > 30 and sum(counts.values()) == QUICK
