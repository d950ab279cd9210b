"""The rows of the curriculum study."""

import pytest

from recbole_llmfashion.study import curriculum
from recbole_llmfashion.study.forms import paper_form
from recbole_llmfashion.study.report.document import Value
from recbole_llmfashion.study.runner import Runner
from tests.helpers.study import cells, request_for


def test_curriculum_by_hand(shop, run_with):
    ranks = {3: (1, 2, 2), 1: (4, 4, 4)}
    generation = {"format_rate": 0.75, "valid_id_rate": 0.5, "perplexity": {"after_hard": {"mean": 3.0, "median": 2.5}}}
    run_with({"LLMFashionRec": lambda config: ranks[config["curriculum_epochs"]]}, generation=generation)
    document = curriculum.curriculum(request := request_for(shop), Runner(request))
    metrics, differences, answers = document.tables
    assert cells(metrics, "mrr") == {
        "uniform, then the hardest": Value(pytest.approx(2 / 3)),
        "uniform only": Value(0.25),
        "uniform, then random ones": Value(pytest.approx(2 / 3)),
    }
    # ranks 1, 2, 2 against 4, 4, 4: 1 and 1 / log2(3) twice, less 1 / log2(5)
    expected = (1 + 2 * 0.6309298) / 3 - 0.4306766
    assert cells(differences, "effect") == {
        "over uniform only": pytest.approx(expected), "over uniform, then random ones": 0
    }  # fmt: skip
    assert answers.rows[1].cells == {
        "malformed": Value(0.25), "unknown": Value(0.5), "perplexity": Value(3.0), "median": Value(2.5)
    }  # fmt: skip


def test_a_seed_that_failed_has_no_effect(shop, run_with):
    """The second seed of `uniform only` fails: the row has its reason and no effect of the other seed."""

    def ranks(config):
        if config["curriculum_epochs"] == 1 and config["seed"] == 2021:
            raise ValueError("no memory")
        return (1, 2, 2) if config["seed"] == 2020 else (4, 4, 4)

    generation = {"format_rate": 1.0, "valid_id_rate": 1.0, "perplexity": {"after_hard": {"mean": 3.0, "median": 2.5}}}
    run_with({"LLMFashionRec": ranks}, generation=generation)
    request = request_for(shop, "--seeds=2")
    failed, other = curriculum.curriculum(request, Runner(request)).tables[1].rows
    assert failed.cells == {} and "no memory" in failed.reason
    assert (other.cells["effect"], other.reason) == (0.0, "")


def test_entries_differ_in_the_curriculum_only():
    keys = {entry.label: dict(entry.keys) for entry in curriculum.entries()}
    whole, uniform, random = keys.values()
    assert whole["curriculum_epochs"] == 3 and uniform == whole | {"curriculum_epochs": 1}
    assert random == whole | {"curriculum_choice": "random"}
    assert whole["llm_epochs"] == 1 and whole["decoding"] == "sample"  # constrained responses have no wrong format
    assert set(paper_form()) <= set(whole) and whole["prompt_item_text"] is True
