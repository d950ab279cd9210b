"""The claims of the paper as a checklist."""

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study import (
    ablation,
    reproduce,
)
from recbole_llmfashion.study import runner as runner_module
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import TableRow, Value
from recbole_llmfashion.study.runner import Entry, Runner
from tests.helpers.fakes import write_tiny
from tests.helpers.study import TARGETS, cells, request_for

SMALL = reproduce.SMALL_DROP
RANKS = {"LLMFashionRec": (1, 1, 4), "CORE": (1, 2, 20), "SASRec": (3, 3, 3), "Popularity": (5, 6, 6)}


@pytest.mark.parametrize(("own", "verdict"), [(0.5, "holds"), (0.3, "does not hold"), (None, "cannot be tested")])
def test_best_claims(own, verdict):
    lines = [TableRow("CORE", {metric: Value(0.4) for metric in assemble.COLUMNS})]
    if own is not None:
        lines.append(TableRow("LLMFashionRec", {metric: Value(own) for metric in assemble.COLUMNS}))
    assert [claim.verdict for claim in reproduce.best_claims(lines)] == [verdict] * 4


def test_ablation_claims_on_the_papers_numbers():
    paper = {label: values[1] for label, values in ablation.PAPER.items()}
    assert {claim.verdict for claim in reproduce.ablation_claims(paper)} == {"holds"}
    assert [claim.verdict for claim in reproduce.ablation_claims({})] == ["cannot be tested"] * 10
    clip = {**paper, "(5) w/ CLIP text embedding": 0.9}
    failed = [claim.text for claim in reproduce.ablation_claims(clip) if claim.holds is False]
    assert failed == ["(5) w/ CLIP text embedding is worse", "The CLIP title list (5) is worse than the LSTM's (4)"]


def test_resource_claims_by_hand():
    numbers = {
        "LLMFashionRec, 10 %": 0.2, "Recformer, 10 %": 0.1, "CORE, 10 %": 0.05,
        "LLMFashionRec, 100 %": 0.5, "Recformer, 100 %": 0.2, "CORE, 100 %": 0.4,
    }  # fmt: skip
    # gains over Recformer .1 and .3; ratios to CORE 4 and 1.25
    assert [claim.verdict for claim in reproduce.resource_claims(numbers, 10, 100)] == ["holds"] * 3
    swapped = {**numbers, "CORE, 10 %": 0.39, "CORE, 100 %": 0.1, "Recformer, 100 %": 0.45}
    assert [claim.verdict for claim in reproduce.resource_claims(swapped, 10, 100)] == ["does not hold"] * 3


def test_cold_id_models_count_with_their_cold_token():
    numbers = {"LLMFashionRec": 0.3, "Recformer": 0.1, "SASRec": 0.0, "SASRec+cold": 0.35, "CORE": 0.01}
    text, ours = reproduce.cold_claims(numbers)
    assert text.verdict == "does not hold" and text.figures == "LLMFashionRec 0.3000, SASRec+cold 0.3500"
    assert text.weights == {"LLMFashionRec": 1.0, "SASRec+cold": -1.0} and ours.verdict == "holds"


def test_reproduce_runs_the_cold_rows(shop, run_with):
    """The target of u3 is cold: the plain row has it last, that with a cold token first."""
    run_with({**RANKS, "Recformer": (9, 9, 9), "SASRec": lambda config: (3, 3, 1 if config["cold_token"] else 9)})
    request = request_for(shop, "--models=SASRec,LLMFashionRec", study="reproduce")
    (claims,) = reproduce.reproduce(request, Runner(request)).tables
    assert cells(claims, "figures")["Text models beat ID models when cold"] == (
        "LLMFashionRec 0.4307, SASRec+cold 1.0000"  # 1 / log2(4 + 1)
    )


def test_reproduce_by_hand(shop, run_with):
    run_with(
        {**RANKS, "Recformer": (9, 9, 9), "RecformerQuery": (8, 8, 8)},
        generation={"format_failures": {"before": 0.5, "after_hard": 0.0}},
    )
    request = request_for(shop, "--models=SASRec,CORE,Recformer,RecformerQuery,LLMFashionRec", study="reproduce")
    document = reproduce.reproduce(request, Runner(request))
    verdicts = cells(document.tables[0], "verdict")
    assert verdicts["Queries help Recformer"] == "holds"
    assert verdicts["After the curriculum the format is valid"] == "holds"
    assert verdicts["Ours is above Recformer in zero-shot"] == "cannot be tested"
    assert verdicts["(2) w/o query-product memory is worse"] == "does not hold"  # equal ranks
    assert len(TARGETS) == 3 and len(verdicts) == 22


def test_rows_of_two_parts_with_one_label_keep_their_ranks(shop, run_with):
    """The default is in the part `compare`, the paper's form of the same label in `ablation`."""

    def own(config):
        return (1, 1, 1) if config["ranking"] == "fusion" else (6, 6, 6)

    run_with({**RANKS, "LLMFashionRec": own, "Recformer": (9, 9, 9)})
    request = request_for(shop, "--models=CORE,LLMFashionRec", "--targets=other", "--shares=10,100", study="reproduce")
    write_tiny(shop, name="other")
    runner = Runner(request)
    document = reproduce.reproduce(request, runner)
    ranks = assemble.all_ranks(runner.ran)
    found = {
        label: sorted(set(ranks["rank"][ranks["model"] == f"{label}: LLMFashionRec"]))
        for label in ("compare", "ablation")
    }
    assert found == {"compare": [1], "ablation": [6]}
    assert set(document.models) == set(runner.ran) >= {"zero-shot: LLMFashionRec on other", "low-resource: CORE, 10 %"}


def test_rows_of_every_part_are_checked_before_the_first_one_runs(shop, runs):
    (shop / "other").mkdir()  # a target without files, whose rows are the last
    request = request_for(shop, "--models=SASRec,LLMFashionRec", "--targets=other", study="reproduce")
    with pytest.raises(UserError, match="other"):
        reproduce.reproduce(request, Runner(request))
    own = request_for(shop, "--models=SASRec,LLMFashionRec", "--item_tokens=semantic", study="reproduce")
    with pytest.raises(UserError, match="but the rows of ablation in study reproduce have 'text'; leave it out"):
        reproduce.reproduce(own, Runner(own))
    assert runs == []


def test_the_files_of_a_dataset_are_checked_once_for_all_parts(shop, monkeypatch):
    read = []
    monkeypatch.setattr(runner_module, "check_files", lambda config: read.append(config["dataset"]))
    runner = Runner(request_for(shop, "--models=SASRec", study="reproduce"))
    for part in ("compare", "ablation"):
        runner.check([Entry("SASRec", "SASRec")], part)
    assert len(read) == 1


def test_a_drop_that_is_none_is_small():
    paper = {label: values[1] for label, values in ablation.PAPER.items()}
    four, six = list(ablation.LABELS.values())[3], list(ablation.LABELS.values())[5]
    verdicts = [
        next(one.verdict for one in reproduce.ablation_claims({**paper, four: 0.5, six: other}) if one.text == SMALL)
        for other in (0.6, 0.5, 0.45, 0.44)
    ]
    assert verdicts == ["holds", "holds", "holds", "does not hold"]


def test_without_searches_no_claim_about_them_is_tested(shop, run_with):
    run_with({**RANKS, "Recformer": (9, 9, 9), "RecformerQuery": (9, 9, 9)})
    (shop / "tiny/tiny.search").unlink()
    request = request_for(shop, "--models=CORE,Recformer,RecformerQuery,LLMFashionRec", study="reproduce")
    table = reproduce.reproduce(request, Runner(request)).tables[0]
    assert {row.label for row in table.rows if row.cells["figures"] == "the log has no searches"} == {
        "(2) w/o query-product memory is worse", "From (4) to (6) the drop is small (at most 10%)",
        "Queries help Recformer",
    }  # fmt: skip
    assert set(map(cells(table, "verdict").get, reproduce.OF_SEARCHES)) == {"cannot be tested"}


def test_a_format_that_nothing_sampled_cannot_be_tested(shop, run_with):
    run_with(RANKS, generation={"format_failures": {}})
    request = request_for(shop, "--models=CORE,LLMFashionRec", study="reproduce")
    verdicts = cells(reproduce.reproduce(request, Runner(request)).tables[0], "verdict")
    assert verdicts["After the curriculum the format is valid"] == "cannot be tested"
