"""Forms of LLMFashionRec as rows of studies, and rows beside those of LLMFashionRec alone."""

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study import ablation, compare, curriculum, low_resource, zero_shot
from recbole_llmfashion.study.forms import beside, paper_form
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.runner import Entry, Runner
from tests.helpers.study import cells, request_for

PAPER, UNTRAINED = "LLMFashionRec, the paper's form", "LLMFashionRec, untrained backbone"
RANDOM = {"llm_name_or_path": "tiny-falcon-untrained"}
FORMS = "LLMFashionRec,LLMFashionRec-paper,LLMFashionRec-untrained"


def test_the_rows_of_the_forms():
    names = ["LLMFashionRec", "LLMFashionRec-paper", "LLMFashionRec-untrained"]
    assert compare.entries(names) == [
        Entry("LLMFashionRec", "LLMFashionRec", {}, group="LLMFashionRec"),
        Entry(PAPER, "LLMFashionRec", paper_form(), group=PAPER),
        Entry(UNTRAINED, "LLMFashionRec", RANDOM, group=UNTRAINED),
    ]
    assert paper_form()["ranking"] == "mixup"
    (half,) = low_resource.entries(["LLMFashionRec-untrained"], [50])
    assert half == Entry(f"{UNTRAINED}, 50 %", "LLMFashionRec", RANDOM | {"train_share": 0.5}, group=UNTRAINED)
    assert zero_shot.variants("LLMFashionRec-untrained") == {
        f"{UNTRAINED}, without the target's log": RANDOM | {"zero_shot_target_log": False},
        f"{UNTRAINED}, with the target's log": RANDOM | {"zero_shot_target_log": True},
    }


def by_form(config):
    """Ranks by what a config's form is: the default first, then the untrained backbone, then the paper's."""
    return {"mixup": (9, 9, 9)}.get(
        config["ranking"], (2, 2, 2) if "untrained" in config["llm_name_or_path"] else (1, 1, 1)
    )


def test_a_form_is_no_other_model_and_is_explained(shop, run_with):
    run_with({"LLMFashionRec": by_form, "CORE": (4, 4, 4)})
    request = request_for(shop, f"--models={FORMS},CORE")
    document = compare.compare(request, Runner(request))
    assert [row.label for row in document.tables[0].rows] == ["LLMFashionRec", PAPER, UNTRAINED, "CORE"]
    assert cells(document.tables[0], "mrr")[UNTRAINED].mean == 0.5
    assert set(cells(document.tables[1], "best").values()) == {"CORE"}  # the untrained form is above CORE
    assert {assemble.PAPERS, assemble.UNTRAINED} <= set(document.notes)
    plain = request_for(shop, "--models=LLMFashionRec,CORE")
    assert not {assemble.PAPERS, assemble.UNTRAINED} & set(compare.compare(plain, Runner(plain)).notes)
    alone = request_for(shop, f"--models={FORMS}")
    assert [table.name for table in compare.compare(alone, Runner(alone)).tables] == ["table2", "gains", "significance"]


@pytest.mark.parametrize(
    ("name", "study", "own"), [("ablation", ablation.ablation, 8), ("curriculum", curriculum.curriculum, 3)]
)
def test_rows_beside(shop, run_with, name, study, own):
    generation = {"format_rate": 1.0, "valid_id_rate": 1.0, "perplexity": {"after_hard": {"mean": 2.0, "median": 1.0}}}
    run_with({"LLMFashionRec": by_form, "Fusion": (3, 3, 3)}, generation=generation)
    request = request_for(shop, "--beside=LLMFashionRec,Fusion,LLMFashionRec", study=name)
    first, *others = study(request, Runner(request)).tables
    labels = [row.label for row in first.rows]
    assert labels[own:] == ["LLMFashionRec, the default", "Fusion"] and len(labels) == own + 2
    assert cells(first, "mrr")["LLMFashionRec, the default"].mean == 1.0
    assert all([row.label for row in table.rows] == labels[:own] for table in others if table.label == "model")
    assert study(request_for(shop, study=name), Runner(request_for(shop, study=name))).tables[0].rows[own:] == []


def test_an_unknown_row_beside(shop):
    with pytest.raises(UserError, match="unknown model 'Fushion'; did you mean 'Fusion'"):
        beside(request_for(shop, "--beside=Fushion", study="curriculum"))
