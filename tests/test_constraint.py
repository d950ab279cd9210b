"""benchmarks/constraint.py: the grammar by hand, and that the trie and both peers allow and choose the same tokens."""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
TOY = [(5, 6, 9), (5, 7, 9), (8, 6, 9)]
WHY = "an optional peer: `uv run --extra benchmarks`"


@pytest.fixture(scope="module")
def constraint():
    sys.path.insert(0, BENCHMARKS)
    yield import_module("constraint")
    sys.path.remove(BENCHMARKS)


def test_equal_continuations_are_one_rule(constraint):
    assert constraint.XGrammar.grammar(TOY) == (
        "state0 ::= Token(9)\nstate1 ::= Token(6, 7) state0\nstate2 ::= Token(6) state0\n"
        "root ::= Token(5) state1 | Token(8) state2\n"
    )
    assert constraint.LLGuidance.grammar(TOY).splitlines()[1] == "state1: <[6-7]> state0"


def test_ours_allows_what_follows_a_prefix(constraint):
    ours = constraint.Ours(constraint.Ids(TOY, [b"%d" % i for i in range(10)], 0), "", 1)
    assert [ours.allowed(prefix) for prefix in ((), (5,), (5, 7), (8,))] == [{5, 8}, {6, 7}, {9}, {6}]


@pytest.mark.parametrize("kind", ["atomic", "semantic", "text"])
def test_all_sides_allow_and_choose_the_same_tokens(constraint, kind):
    for peer in ("xgrammar", "llguidance"):
        pytest.importorskip(peer, reason=WHY)
    ids = constraint.make_ids(kind, 150)
    sides = {name: make(ids, make.grammar(ids.sequences), 1) for name, make in constraint.SIDES.items()}
    constraint.compare_allowed(ids, sides)
    logits, active = constraint.plan(sides["ours"], 16, seed=1)
    chosen = {name: constraint.walk(side, logits, active)[1] for name, side in sides.items()}
    assert chosen["xgrammar"] == chosen["llguidance"] == chosen["ours"]
    lengths = {"atomic": [16], "semantic": [16, 16], "text": [16, 16, 16, 16, 16]}
    assert [len(rows) for rows in active][: len(lengths[kind])] == lengths[kind]


def test_another_catalogue_is_found(constraint):
    ids = constraint.make_ids("atomic", 40)
    ours = constraint.Ours(replace(ids, sequences=ids.sequences[1:]), "", 1)
    with pytest.raises(AssertionError, match="allows other tokens"):
        constraint.compare_allowed(ids, {"ours": ours})
