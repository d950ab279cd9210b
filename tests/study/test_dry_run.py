"""`study NAME --dry_run`: what it prints, that nothing runs and nothing is left, and what it finds."""

import pytest

from recbole_llmfashion.cli.main import run
from recbole_llmfashion.quick_start import experiment
from recbole_llmfashion.study import dry_run as module
from recbole_llmfashion.study.dry_run import DryRunner
from recbole_llmfashion.study.reproduce import reproduce
from recbole_llmfashion.study.request import MODELS
from tests.helpers.fakes import INTER, ITEM, write_tiny
from tests.helpers.study import request_for

WIDE = ITEM + "".join(f"{n}\tWool Scarf {n}\tVela\tgrey\t\tscarves\n" for n in range(21, 27))  # tables have a top 10
TOPK = ["--topk=[3,10]", "--valid_metric=NDCG@3"]
MODELS_HERE = ["--models=SASRec,Popularity"]
# Study, its options, the number of its rows on `tiny`, and one of its labels.
STUDIES = [
    ("compare", [], len(MODELS), "Recformer w/ query"),
    ("ablation", ["--form=paper"], 8, "(1) w/o product attributes"),
    ("ablation", ["--form=shipped"], 12, "ranking: clip"),
    ("curriculum", [], 3, "uniform only"),
    ("cold-start", [], len(MODELS) + 5, "CORE+cold"),
    ("cold-start", ["--plus_cold=False"], len(MODELS), "CORE"),
    ("zero-shot", ["--source=tiny", "--targets=other"], 6, "other: Recformer"),
    ("low-resource", ["--models=SASRec,CORE", "--shares=5,100"], 4, "CORE, 5 %"),
    ("time-split", MODELS_HERE, 6, "SASRec, time split"),
    ("cost", ["--groups=beams,history", "--lengths=200"], 5, "max_length 200"),
    ("reproduce", ["--shares=10,100", "--targets=other"], len(MODELS) + 5 + 8 + 10 + 2, "Recformer on other"),
]


@pytest.fixture
def here(shop, monkeypatch):
    """The datasets `tiny` and `other`, in a folder where nothing may train."""
    write_tiny(shop, item=WIDE)
    write_tiny(shop, item=WIDE, name="other")
    monkeypatch.chdir(shop)
    monkeypatch.setattr(experiment, "_run", None)
    return shop


def dry(here, capsys, name, *words):
    """Status, stdout, and the lines of stderr that are no log."""
    places = [f"--data_path={here}", f"--checkpoint_dir={here}/saved", *TOPK]
    dataset = [] if name == "zero-shot" else ["--dataset=tiny"]
    status = run(["study", name, *dataset, *places, "--dry_run", *words])
    captured = capsys.readouterr()
    return status, captured.out, [line for line in captured.err.splitlines() if not line.startswith("rows for ")]


def sections_of(out):
    return dict(part.split("\n", 1) for part in out.removeprefix("== ").split("\n== "))


def test_settings_and_rows_are_printed_and_nothing_is_left(here, capsys):
    before = sorted(here.rglob("*"))
    words = ["--models=SASRec,Popularity", "--shares=50,100", "--seeds=2", "--n_layers=1"]
    status, out, err = dry(here, capsys, "low-resource", *words)
    assert status == 0 and err == []
    sections = sections_of(out)
    assert list(sections) == [
        "study low-resource: 4 rows, seeds 2020, 2021", "dataset tiny", "keys of every model", "SASRec, 50 %",
        "Popularity, 50 %", "SASRec, 100 %", "Popularity, 100 %",
    ]  # fmt: skip
    assert "users: 3" in sections["dataset tiny"] and "use_tuned: true" in sections["keys of every model"]
    half, whole = sections["SASRec, 50 %"], sections["SASRec, 100 %"]
    assert "n_layers: 1" in half and "train_share: 0.5" in half and "train_share" in whole
    assert "rows: {train: 3, valid: 2, test: 3}" in whole and "rows: {train: 3, valid" not in half
    assert out.endswith("dry run: every check passed, nothing was trained\n")
    assert sorted(here.rglob("*")) == before


def test_rows_of_two_parts_with_one_label_are_both_told(here, monkeypatch):
    """`reproduce` has LLMFashionRec in Table 2 and in Table 3, with other keys; the checks are in the slow test."""
    described = {}
    monkeypatch.setattr(DryRunner, "check", lambda *_: None)
    monkeypatch.setattr(module, "describe", lambda configs: described.update(configs) or "")
    request = request_for(here, "--models=LLMFashionRec", "--shares=10,100", "--targets=none", study="reproduce")
    text = module.dry_run(request, reproduce)
    assert text.startswith("== study reproduce: 19 rows, seeds 2020\n") and len(described) == 19
    tokens = [described[label]["item_tokens"] for label in ("LLMFashionRec", "LLMFashionRec (2)")]
    assert tokens == ["atomic", "text"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words", "count", "label"), STUDIES)
def test_every_study_checks_and_describes_its_rows(here, capsys, name, words, count, label):
    status, out, err = dry(here, capsys, name, *words)
    assert status == 0 and err == []
    assert out.startswith(f"== study {name}: {count} rows, seeds 2020")
    assert out.count("rows: {train: ") == count and "rows: {train: " in sections_of(out)[label]


def test_keys_of_training_do_not_need_a_row_of_popularity(here, capsys):
    """What all rows share is read from Popularity's config, which has no use for them."""
    (here / "bert.yaml").write_text("transform: mask_itemseq\n")
    assert dry(here, capsys, "compare", "--models=BERT4Rec", f"--config_files={here}/bert.yaml")[0] == 0
    assert dry(here, capsys, "compare", "--models=SASRec", "--cold_token=True")[0] == 0
    status, _, err = dry(here, capsys, "compare", "--models=Popularity", "--cold_token=True")
    assert status == 2 and "not for Popularity" in err[-1]


@pytest.mark.parametrize(
    ("name", "words", "files", "line"),
    [
        ("compare", MODELS_HERE, {"inter": INTER.replace("action:", "actoin:")}, "tiny.inter, line 1, column actoin"),
        ("compare", [*MODELS_HERE, "--n_heads=3"], {}, "n_heads: 3 heads do not divide"),
        ("curriculum", ["--llm_name_or_path=./nowhere"], {}, "llm_name_or_path"),
        ("low-resource", [*MODELS_HERE, "--shares=0,5"], {}, "--shares: expected percentages"),
        ("zero-shot", ["--source=tiny", "--targets=nowhere"], {}, "nowhere"),
        (
            "time-split",
            [*MODELS_HERE, "--topk=[10,20]", "--valid_metric=NDCG@10"],
            {},
            "topk: 20 is more than the 12 items",
        ),
        ("cold-start", [*MODELS_HERE, "--topk=[3]", "--valid_metric=NDCG@3"], {}, "found no Recall@10; add it"),
        ("compare", [*MODELS_HERE, "--metrics=[Recall,NDCG]"], {}, "found no MRR@10; add it"),
        (
            "low-resource",
            [*MODELS_HERE, "--shares=5,100", "--train_share=0.1"],
            {},
            "train_share: found '0.1', but the rows of study low-resource have '0.05', '1.0'; leave it out",
        ),
        ("time-split", [*MODELS_HERE, "--split_by=time"], {}, "split_by: found 'time', but the rows of study"),
        ("curriculum", ["--curriculum_epochs=7"], {}, "curriculum_epochs: found '7', but the rows of study curriculum"),
        ("zero-shot", ["--source=tiny", "--targets=other", "--source_dataset=shoes"], {}, "have 'tiny'; leave it out"),
        ("cold-start", [*MODELS_HERE, "--cold_token=True"], {}, 'cold_token: the "+cold" rows have it and the others'),
        ("reproduce", ["--shares=10,100", "--cold_token=True"], {}, 'cold_token: the "+cold" rows have it'),
        (
            "ablation",
            ["--form=paper", "--beside=Fusion,LLMFashionRec", "--ranking=fusion"],
            {},
            "ranking: found 'fusion', but the rows of LLMFashionRec in study ablation have 'mixup', 'id', 'title', ",
        ),
        (
            "ablation",
            ["--form=shipped", "--beside=LLMFashionRec-paper", "--item_tokens=semantic"],
            {},
            "item_tokens: found 'semantic', but the rows of LLMFashionRec, the paper's form in study ablation have",
        ),
        (
            "curriculum",
            ["--beside=LLMFashionRec", "--llm_epochs=2"],
            {},
            "llm_epochs: found '2', but the rows of LLMFashionRec in study curriculum have '1'; leave it out",
        ),
        (
            "compare",
            ["--models=LLMFashionRec,LLMFashionRec-untrained", "--llm_name_or_path=smollm2"],
            {},
            "but the rows of LLMFashionRec, untrained backbone in study compare have 'tiny-falcon-untrained'; leave",
        ),
        (
            "zero-shot",
            ["--source=tiny", "--targets=other", "--zero_shot_target_log=True"],
            {},
            "but the rows of LLMFashionRec in study zero-shot have 'False', 'True'; leave it out",
        ),
        (
            "reproduce",
            ["--models=SASRec,LLMFashionRec", "--shares=10,100", "--ranking=beams"],
            {},
            "ranking: found 'beams', but the rows of ablation in study reproduce have 'mixup', 'id', 'title', 'clip'",
        ),
        (
            "reproduce",
            ["--shares=10,100", "--train_share=0.5"],
            {},
            "train_share: found '0.5', but the rows of low-resource in study reproduce have '0.1', '1.0'; leave it out",
        ),
        (
            "reproduce",
            ["--shares=10,100", "--targets=other", "--zero_shot_target_log=True"],
            {},
            "but the rows of LLMFashionRec of zero-shot in study reproduce have 'False'; leave it out",
        ),
        ("reproduce", ["--shares=100,100.0"], {}, "--shares: expected two percentages or more"),
        ("reproduce", ["--targets=tiny"], {}, "--targets: tiny is the source"),
    ],
)
def test_what_is_wrong_is_one_line(here, capsys, name, words, files, line):
    write_tiny(here, item=WIDE, **files)
    places = [f"--data_path={here}", f"--checkpoint_dir={here}/saved"]
    short = [] if any(word.startswith("--topk") for word in words) else TOPK
    dataset = [] if name == "zero-shot" else ["--dataset=tiny"]
    assert run(["study", name, *dataset, *places, *short, "--dry_run", *words]) == 2
    found = [one for one in capsys.readouterr().err.splitlines() if not one.startswith("rows for ")]
    assert len(found) == 1 and found[0].startswith("error: ") and line in found[0]
    assert not (here / "results").exists() and not (here / "saved").exists()
