"""The dry run through the command: what it prints, what it leaves, and what only data shows to be wrong."""

import pytest

from recbole_llmfashion.cli.train import main
from recbole_llmfashion.config.keys import recbole_folder
from recbole_llmfashion.quick_start import experiment
from tests.helpers.fakes import INTER, SEARCH, write_tiny

TOPK = ["--topk=[3]", "--valid_metric=NDCG@3"]  # the tiny catalogue has six items


@pytest.fixture
def root(tmp_path, monkeypatch):
    write_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiment, "run_experiment", None)  # nothing may train
    return tmp_path


def dry_run(capsys, root, *words):
    """Status, stdout, and the lines of stderr that are no log."""
    options = [f"--data_path={root}", f"--checkpoint_dir={root}/saved", f"--output={root}/out", "--dry_run"]
    short = TOPK if not any(word.startswith("--topk") for word in words) else []
    status = main(["--dataset=tiny", *options, *short, *words])
    captured = capsys.readouterr()
    return status, captured.out, [line for line in captured.err.splitlines() if not line.startswith("rows for ")]


def test_settings_and_counts_are_printed_and_nothing_is_left(root, capsys):
    before = sorted(root.rglob("*"))
    status, out, err = dry_run(capsys, root, "--model=LLMFashionRec,SASRec", "--epochs=7", "--lora_r=3", "--n_layers=1")
    assert status == 0 and err == []
    sections = dict(part.split("\n", 1) for part in out.removeprefix("== ").split("\n== "))
    assert list(sections) == [
        "dataset tiny", "keys of every model", "LLMFashionRec", "SASRec", "Popularity",
        "SASRecSampled, a part of LLMFashionRec",
        "SeqKNN, a part of LLMFashionRec",
    ]  # fmt: skip
    for text in ("users: 3", "items: 6", "interactions: 12", "searches: 5", "timestamps: dates"):
        assert text in sections["dataset tiny"]
    assert "topk: [3]" in sections["keys of every model"] and "click_filter: paper" in sections["keys of every model"]
    assert "lora_r: 3" in sections["LLMFashionRec"] and "training prompts: 2}" in sections["LLMFashionRec"]
    assert "n_layers: 1" in sections["SASRec"] and "rows: {train: 3, valid: 2, test: 3}" in sections["SASRec"]
    assert "n_layers: 1" in sections["SASRecSampled, a part of LLMFashionRec"]
    assert "n_negatives: 0" in sections["SASRecSampled, a part of LLMFashionRec"]
    assert out.endswith("dry run: every check passed, nothing was trained\n")
    assert sorted(root.rglob("*")) == before


# Keys that only some models have a use for, of a model that has it.
OF_ONE_MODEL = [
    ("BERT4Rec", "transform: mask_itemseq", "transform: mask_itemseq"),
    ("SASRec", "cold_token: True", "cold_token: true"),
    ("FPMC", "train_neg_sample_args: {sample_num: 2}", "sample_num: 2"),
]


@pytest.mark.parametrize("place", ["mine.yaml", "tiny/tiny.yaml", "command line"])
@pytest.mark.parametrize(("model", "key", "printed"), OF_ONE_MODEL)
def test_keys_of_one_model_do_not_reach_the_popularity_row_that_nobody_named(root, capsys, place, model, key, printed):
    name = key.split(":")[0]
    words = [f"--{key.replace(': ', '=', 1)}"] if place == "command line" else []
    if not words:
        (root / place).write_text(f"{key}\n")
        words = ["--config_files=mine.yaml"] if place == "mine.yaml" else []
    status, out, err = dry_run(capsys, root, f"--model={model}", *words)
    before, popularity = out.split("== Popularity")
    assert status == 0 and err == [] and printed in before and printed not in popularity
    status, _, err = dry_run(capsys, root, f"--model={model},Popularity", *words)
    assert status == 2 and len(err) == 1 and name in err[0] and "Popularity" in err[0]


def test_a_properties_file_of_recbole_is_a_config_file(root, capsys):
    """Its BERT4Rec.yaml names the model's `transform`, which no other model has."""
    file = recbole_folder() / "properties/model/BERT4Rec.yaml"
    status, out, err = dry_run(capsys, root, "--model=BERT4Rec", f"--config_files={file}")
    assert status == 0 and err == [] and "mask_ratio: 0.2" in out


# Keys and files that only the data shows to be wrong, and what the line says.
WITH_DATA = [
    (["--model=Popularity", "--topk=[10]", "--valid_metric=NDCG@10"], {}, "topk: 10 is more than the 6 items"),
    (["--model=SASRec"], {"inter": INTER.replace("purchase", "click")}, "tiny.inter"),
    (["--model=SASRec"], {"search": SEARCH.replace("red boots", "")}, "tiny.search, line 2"),
    (["--model=SASRec", "--split_by=time", "--time_split=[0.01, 0.02]"], {}, "no t"),
    (
        ["--model=SASRec", "--split_by=time"],
        {"inter": INTER.replace("\t170", "\t"), "search": SEARCH.splitlines()[0] + "\n"},
        "split_by",
    ),
    (["--model=SASRec", "--load_col={item: [item_id, class]}"], {}, "load_col: .item has no column 'class'"),
    (["--model=SASRec", "--val_interval={rating: '[3,5]'}"], {}, "val_interval: no column 'rating'"),
    (["--model=SASRec", "--user_inter_num_interval=[9,inf)"], {}, "leave no user with a purchase"),
    (["--model=LLMFashionRec", "--llm_name_or_path=./nowhere"], {}, "llm_name_or_path"),
    (["--model=LLMFashionRec", "--source_dataset=nowhere"], {}, "source_dataset"),
    (["--model=LLMFashionRec", "--embedding_size=65"], {}, "n_heads"),
    (["--model=LLMFashionRec", "--loss_type=BPR"], {}, "loss_type"),
    (["--model=LLMFashionRec", "--cold_token=True"], {}, "cold_token"),
]


@pytest.mark.parametrize(("words", "files", "expected"), WITH_DATA, ids=lambda cell: str(cell)[:40])
def test_what_only_data_shows_is_one_line(root, capsys, words, files, expected):
    write_tiny(root, **files)
    status, _, err = dry_run(capsys, root, *words)
    assert status == 2 and len(err) == 1 and err[0].startswith("error: ") and expected in err[0]


def test_a_model_that_cannot_be_built_is_one_line(root, capsys, monkeypatch):
    from recbole.model.sequential_recommender import GRU4Rec

    def fails(self, config, dataset):
        raise NotImplementedError("not\nthis one")

    monkeypatch.setattr(GRU4Rec, "__init__", fails)
    status, _, err = dry_run(capsys, root, "--model=GRU4Rec")
    assert status == 2 and len(err) == 1
    assert "GRU4Rec: cannot be built with these keys and this data (NotImplementedError: not this one)" in err[0]
