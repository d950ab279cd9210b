import json

import pandas as pd
import pytest

from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.study import (
    ablation,
    cold_start,
    compare,
    curriculum,
    low_resource,
    reproduce,
    time_split,
    zero_shot,
)
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import TableRow, Value
from recbole_llmfashion.study.request import MODELS
from recbole_llmfashion.study.runner import Outcome, Runner
from tests.helpers.fakes import INTER, SMALL, write_tiny
from tests.helpers.study import TARGETS, request_for, result_of

RANKS = {"LLMFashionRec": (1, 1, 4), "CORE": (1, 2, 20), "SASRec": (3, 3, 3), "Popularity": (5, 6, 6)}


@pytest.fixture
def run_with(monkeypatch):
    """Runs give the ranks of a table by model; others fail."""

    def use(ranks, **details):
        def run(config):
            if config["model"] not in ranks:
                raise ValueError("not here")
            found = ranks[config["model"]]
            return result_of(found(config) if callable(found) else found, **details)

        monkeypatch.setattr("recbole_llmfashion.study.runner.run_experiment", run)

    return use


def cells(table, key):
    return {row.label: row.cells.get(key) for row in table.rows}


def test_compare_by_hand(shop, run_with):
    run_with(RANKS, epochs=20, epochs_allowed=20)
    request = request_for(shop, f"--models={','.join([*RANKS, 'GRU4Rec'])}")
    runner = Runner(request)
    document = compare.compare(request, runner)
    table, improvement, significance = document.tables
    assert cells(table, "recall@10")["CORE"] == Value(pytest.approx(2 / 3))
    assert cells(table, "mrr")["LLMFashionRec"] == Value(pytest.approx((1 + 1 + 0.25) / 3))
    assert table.rows[-1] == TableRow("GRU4Rec", reason="seed 2020: ValueError: not here")
    assert table.rows[0].cells["epochs"] == "20 of 20" and table.rows[0].cells["minutes"] == 1.0
    assert "Bounded" in document.notes[1] and "CORE" in document.notes[1]
    # MRR: ours .75, CORE (1 + .5 + .05) / 3, SASRec 1 / 3
    gain = {row.label: row.cells for row in improvement.rows}["MRR"]
    assert (gain["best"], gain["gain"]) == ("CORE", pytest.approx(100 * (0.75 / (1.55 / 3) - 1)))
    assert {row.label for row in significance.rows} == {"CORE", "SASRec", "Popularity"}
    assert len(significance.rows) == 6
    assert {len(entries) for entries in document.models.values()} == {1}
    assert json.loads(json.dumps(document.as_json(), allow_nan=False))
    assert document.models["GRU4Rec"][0]["status"] == "failed: ValueError: not here"


def test_every_model_of_the_issue_stands_in_the_comparison():
    assert [entry.label for entry in compare.entries(MODELS)] == [
        "GRU4Rec", "SASRec", "BERT4Rec", "NextItNet", "CORE", "Recformer", "Recformer w/ query", "LLMFashionRec",
        "Popularity", "SeqKNN", "QueryMemory",
    ]  # fmt: skip


def test_the_seven_variants_are_the_papers():
    keys = [dict(entry.keys) for entry in ablation.entries()]
    assert keys == [
        {"ranking": "mixup"},
        {"prompt_attributes": [], "ranking": "mixup"},
        {"memory_products": 0, "ranking": "mixup"},
        {"ranking": "id"},
        {"ranking": "title"},
        {"ranking": "clip"},
        {"memory_products": 0, "ranking": "title"},
        {"memory_products": 0, "ranking": "title", "prompt_attributes": []},
    ]
    ours = {entry.label: dict(entry.keys) for entry in ablation.choices(embedded=True)}
    assert ours == {
        "LLMFashionRec, ranking: beams": {"ranking": "beams"},
        "ranking: fusion (default)": {"ranking": "fusion"},
        "item_tokens: semantic": {"item_tokens": "semantic", "ranking": "fusion"},
        "item_tokens: text": {"item_tokens": "text", "ranking": "fusion"},
        "backbone without simulator pre-training": {
            "llm_name_or_path": "tiny-falcon-untrained", "ranking": "fusion",
        },
    }  # fmt: skip
    assert len(list((properties_folder() / "ablation").glob("*.yaml"))) == len(keys) + len(ours)


def test_only_the_backbone_that_ships_has_an_untrained_twin(shop, run_with):
    run_with({"LLMFashionRec": (1, 1, 1)})
    for words, there in (((), True), ((f"--llm_name_or_path={SMALL['llm_name_or_path']}",), False)):
        request = request_for(shop, *words)
        document = ablation.ablation(request, Runner(request))
        assert ("backbone without simulator pre-training" in document.models) is there
        assert any("comes with the package" in note for note in document.notes) is there


def test_ablation_by_hand(shop, run_with):
    def ranks(config):
        ranks = {
            "title": (2, 2, 2),
            "beams": (3, 3, 3),
            "fusion": (7, 7, 7) if config["item_tokens"] == "text" else None,
        }
        return ranks.get(config["ranking"]) or (1, 1, 1)

    run_with({"LLMFashionRec": ranks})
    document = ablation.ablation(request := request_for(shop), Runner(request))
    shares = cells(document.tables[1], "here")
    assert shares["(4) w/o ID embedding"] == pytest.approx(0.63093, abs=1e-5)  # 1 / log2(3)
    assert shares["(2) w/o query-product memory"] == 1.0
    assert cells(document.tables[1], "paper")["(5) w/ CLIP text embedding"] == pytest.approx(0.1245 / 0.2037)
    assert "not comparable" in document.tables[0].notes[1] and "mixup" in document.tables[0].notes[0]
    assert list(shares) == list(ablation.PAPER)
    assert cells(document.tables[2], "here") == {
        "LLMFashionRec": 1.0, "LLMFashionRec, ranking: beams": 0.5, "ranking: fusion (default)": 1.0,
        "item_tokens: semantic": 1.0, "item_tokens: text": pytest.approx(1 / 3),
        "backbone without simulator pre-training": 1.0,
    }  # fmt: skip


def test_cold_targets_are_those_that_no_training_row_has(shop, run_with):
    """u1 trains on 11 12 13 (14 is valid, 16 test), u3 on 16 11; u2 has two actions and no training row."""
    run_with({"SASRec": (1, 2, 3)})
    request = request_for(shop, "--models=SASRec", "--plus_cold=False", study="cold-start")
    runner = Runner(request)
    assert cold_start.seen_items(runner, "tiny") == {"11", "12", "13", "16"}
    document = cold_start.cold_start(request, runner)
    cold, warm, counts = document.tables
    assert cells(cold, "mrr") == {"SASRec": Value(pytest.approx(1 / 3))}  # u3's 14
    assert cells(warm, "mrr") == {"SASRec": Value(pytest.approx(0.75))}
    assert cells(counts, "count") == {
        "cold test targets": 1, "warm test targets": 2, "items of the catalogue never seen in training": 2,
    }  # fmt: skip


def test_plus_cold_rows_are_trained_apart():
    made = cold_start.plus_cold(("SASRec", "Recformer", "CORE"))
    assert [(entry.label, entry.model, entry.keys) for entry in made] == [
        ("SASRec+cold", "SASRec", {"cold_token": True}),
        ("CORE+cold", "CORE", {"cold_token": True}),
    ]


def test_no_cold_target_is_a_reason():
    line = cold_start.part_row("x", [Outcome(1, result_of((1, 2, 3)))], set(TARGETS.values()), False)
    assert line.reason == "no such test row"


def test_low_resource_rows_and_shares(shop, run_with):
    def ranks(config):
        return (1, 1, 1) if config["train_share"] == 1.0 else (10, 10, 10)

    run_with({"SASRec": ranks})
    request = request_for(shop, "--models=SASRec,CORE", "--shares=5,100", study="low-resource")
    document = low_resource.low_resource(request, Runner(request))
    rows = {row.label: row for row in document.tables[0].rows}
    assert rows["SASRec"].cells == {"5": Value(pytest.approx(0.28906, abs=1e-5)), "100": Value(1.0)}
    assert "not here" in rows["CORE"].reason
    assert document.figures[0].series[0].y == [pytest.approx(0.28906, abs=1e-5), 1.0]
    assert document.figures[0].series[1].y == [None, None]
    with pytest.raises(Exception, match="--shares: expected numbers above 0 up to 100, found '0,5'"):
        low_resource.shares(request_for(shop, "--shares=0,5", study="low-resource"))


def test_zero_shot_says_which_models_do_not_apply(shop, run_with):
    run_with({"LLMFashionRec": lambda config: (1, 1, 1) if config["zero_shot_target_log"] else (2, 2, 2)})
    (shop / "other").symlink_to(shop / "tiny")
    for suffix in ("inter", "search", "item"):
        (shop / "tiny" / f"other.{suffix}").symlink_to(shop / "tiny" / f"tiny.{suffix}")
    words = ("--source=tiny", "--targets=other", "--models=CORE,LLMFashionRec,SeqKNN")
    request = request_for(shop, *words, study="zero-shot")
    table = zero_shot.zero_shot(request, Runner(request)).tables[0]
    assert cells(table, "mrr") == {
        "LLMFashionRec, without the target's log": Value(0.5),
        "LLMFashionRec, with the target's log": Value(1.0),
        "CORE": None,
        "SeqKNN": None,
    }
    assert [row.reason[:14] for row in table.rows[2:]] == ["not applicable"] * 2


def test_future_items_by_hand():
    ranks = pd.DataFrame({"user": ["a", "b"], "top": [["i", "j"], ["k", "never"]]})
    born = pd.Series({"i": 10.0, "j": 20.0, "k": 5.0, "never": float("nan")})
    # a is asked at 15: j comes later; b at 30: `never` has no known moment
    assert time_split.future_rate(ranks, {"a": 15, "b": 30}, born) == 0.5
    assert time_split.future_rate(ranks, {"a": 20, "b": 30}, born) == 0.25


def test_an_item_is_born_when_on_sale_or_at_its_first_action():
    events = pd.DataFrame({"item_id": ["i", "i", "j"], "timestamp": [7.0, 3.0, 9.0]})
    items = pd.DataFrame({"item_id": ["i", "j", "k"]})
    assert time_split.first_seen(events, items).to_dict() == {
        "i": 3.0,
        "j": 9.0,
        "k": pytest.approx(float("nan"), nan_ok=True),
    }
    items["available_from"] = [1.0, float("nan"), 2.0]
    assert time_split.first_seen(events, items).to_dict() == {"i": 1.0, "j": 9.0, "k": 2.0}


def test_time_split_does_not_apply_to_an_order(tmp_path, run_with):
    from tests.helpers.fakes import purchases_only

    run_with({})
    purchases_only(tmp_path, 5, 6, 4, name="tiny")
    request = request_for(tmp_path, "--models=SASRec", study="time-split")
    document = time_split.time_split(request, Runner(request))
    assert [row.reason[:14] for row in document.tables[0].rows] == ["not applicable"] * 3


def test_a_log_without_clicks_has_nothing_to_leave_unfiltered(tmp_path, run_with):
    row = "u{}\t{}\tpurchase\t{}\n"
    buys = "".join(row.format(u, 11 + (u + t) % 6, 1701000000 + 100 * (t + u)) for u in range(8) for t in range(4))
    write_tiny(tmp_path, INTER.splitlines()[0] + "\n" + buys, "")
    run_with({"SASRec": (1, 2, 3)})
    request = request_for(tmp_path, "--models=SASRec", study="time-split")
    runner = Runner(request)
    runs = [entry.label for entry in compare.entries(request.models)]
    document = time_split.time_split(request, runner)
    assert document.tables[-2].rows[0].reason == "not applicable: the log has no clicks to filter"
    assert set(runner.ran) == {f"{label}, {protocol}" for label in runs for protocol in ("leave-one-out", "time split")}


def test_time_split_runs_both_protocols_and_the_unfiltered_row(shop, run_with):
    run_with({"SASRec": (1, 2, 3)})
    request = request_for(shop, "--models=SASRec", "--time_split=[0.3, 0.6]", study="time-split")
    document = time_split.time_split(request, Runner(request))
    assert [table.title for table in document.tables] == [*time_split.PROTOCOLS, "The log"]
    facts = cells(document.tables[-1], "share")
    assert facts["item actions that share a timestamp of their user"] == 0.0
    assert facts["targets that stand in their history, leave-one-out"] == 0.0


@pytest.mark.parametrize(("own", "verdict"), [(0.5, "holds"), (0.3, "does not hold"), (None, "cannot be tested")])
def test_claims_about_the_best(own, verdict):
    lines = [TableRow("CORE", {metric: Value(0.4) for metric in assemble.COLUMNS})]
    if own is not None:
        lines.append(TableRow("LLMFashionRec", {metric: Value(own) for metric in assemble.COLUMNS}))
    assert [claim.verdict for claim in reproduce.best_claims(lines)] == [verdict] * 4


def test_ablation_claims_hold_on_the_papers_own_numbers():
    paper = {label: values[1] for label, values in ablation.PAPER.items()}
    assert {claim.verdict for claim in reproduce.ablation_claims(paper)} == {"holds"}
    assert [claim.verdict for claim in reproduce.ablation_claims({})] == ["cannot be tested"] * 10
    clip = {**paper, "(5) w/ CLIP text embedding": 0.9}
    failed = [claim.said for claim in reproduce.ablation_claims(clip) if claim.holds is False]
    assert failed == ["(5) w/ CLIP text embedding costs", "The CLIP title list (5) is worse than the LSTM's (4)"]


def test_resource_claims_by_hand():
    numbers = {
        "LLMFashionRec, 10 %": 0.2, "Recformer, 10 %": 0.1, "CORE, 10 %": 0.05,
        "LLMFashionRec, 100 %": 0.5, "Recformer, 100 %": 0.2, "CORE, 100 %": 0.4,
    }  # fmt: skip
    # gains over Recformer .1 and .3; ratios to CORE 4 and 1.25
    assert [claim.verdict for claim in reproduce.resource_claims(numbers, 10, 100)] == ["holds"] * 3
    swapped = {**numbers, "CORE, 10 %": 0.39, "CORE, 100 %": 0.1, "Recformer, 100 %": 0.45}
    assert [claim.verdict for claim in reproduce.resource_claims(swapped, 10, 100)] == ["does not hold"] * 3


def test_reproduce_is_a_checklist(shop, run_with):
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
    assert verdicts["(2) w/o query-product memory costs"] == "does not hold"  # equal ranks
    assert len(TARGETS) == 3 and len(verdicts) == 22


def test_curriculum_by_hand(shop, run_with):
    ranks = {3: (1, 2, 2), 1: (4, 4, 4)}
    said = {"format_rate": 0.75, "valid_id_rate": 0.5, "perplexity": {"after_hard": {"mean": 3.0, "median": 2.5}}}
    run_with({"LLMFashionRec": lambda config: ranks[config["curriculum_epochs"]]}, generation=said)
    document = curriculum.curriculum(request := request_for(shop), Runner(request))
    metrics, answers = document.tables
    assert cells(metrics, "mrr") == {
        "uniform, then the hardest": Value(pytest.approx(2 / 3)),
        "uniform alone": Value(0.25),
        "uniform, then as many by chance": Value(pytest.approx(2 / 3)),
    }
    assert answers.rows[1].cells == {
        "malformed": Value(0.25), "unknown": Value(0.5), "perplexity": Value(3.0), "median": Value(2.5)
    }  # fmt: skip


def test_the_rows_of_curriculum_differ_in_what_trains_longer_alone():
    keys = {entry.label: dict(entry.keys) for entry in curriculum.entries()}
    whole, alone, chance = keys.values()
    assert set(whole.items()) ^ set(alone.items()) == {("curriculum_epochs", 3), ("curriculum_epochs", 1)}
    assert set(chance.items()) - set(whole.items()) == {("curriculum_choice", "random")}
    assert whole["llm_epochs"] == 1 and whole["decoding"] == "sample"  # a constraint would leave no format to fail
