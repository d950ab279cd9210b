"""Stages of runs: created, reused, resumed, and what their names depend on."""

import json
import shutil

import numpy as np
import pytest
from transformers import LongformerConfig, LongformerForMaskedLM

from recbole_llmfashion.data.loaders import stage_root
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.model import Recformer, RecformerQuery
from recbole_llmfashion.model.recformer.vocabulary import Vocabulary
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.trainer.recformer import pretrain_corpus
from tests.helpers.fakes import INTER, ITEM, SEARCH, purchases_only, replace_test_targets, write_tiny
from tests.helpers.recformer import config_of

SMALL = {
    "show_progress": False, "recformer_max_tokens": 64,
    "recformer": {
        "width": 32, "layers": 1, "heads": 2, "vocab_size": 400, "attention_window": 16, "warmup_steps": 2,
    },
    "recformer_pretrain_epochs": 1, "recformer_stage1_epochs": 3, "recformer_stage2_epochs": 1,
    "recformer_learning_rate": 3e-3,
}  # fmt: skip
STAGES = ["recformer_pretrain", "recformer_stage1", "recformer_stage2", "recformer_tokenizer"]


def groups(root, name="groups", search=False, seed=0):
    """Sixty users, each with items of one of ten groups with a common word, and a search for the last purchase."""
    rng = np.random.default_rng(seed)
    kinds = ["boots", "sandals", "scarf", "clutch", "belt", "coat", "glove", "tote", "watch", "ring"]
    header = ITEM.splitlines()[0]
    items = [f"i{i}\t{kinds[i // 10]} model{i % 10}\tb{i % 4}\t\t\t{kinds[i // 10]}" for i in range(100)]
    inter, searches = [INTER.splitlines()[0]], [SEARCH.splitlines()[0]]
    for user in range(60):
        taken = rng.integers(10, size=6) + 10 * (user % 10)
        inter += [f"u{user}\ti{item}\tpurchase\t{100 * time}" for time, item in enumerate(taken)]
        searches += [f"u{user}\t{100 * time + 50}\t{kinds[user % 10]} query{user % 3}\t" for time in (1, 4)]
    text = "\n".join(searches) + "\n" if search else ""
    return write_tiny(root, "\n".join(inter) + "\n", text, "\n".join([header, *items]) + "\n", name)


def run(root, model=Recformer, name="groups", reports=None, **keys):
    config = config_of(root, model, name, **SMALL | keys)
    return run_experiment(config, callback_fn=None if reports is None else lambda e, s: reports.append((e, s)))


def stages(root, name="groups"):
    return sorted(path.name for path in (root / "saved" / name / "stages").iterdir() if path.name != ".locks")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on `groups`: (folder, result, calls of the callback)."""
    root, reports = tmp_path_factory.mktemp("finished"), []
    groups(root)
    return root, run(root, reports=reports), reports


def copied(finished, to):
    shutil.copytree(finished[0], to, dirs_exist_ok=True)
    return to


def test_learns_structure_and_nothing_from_noise(finished, tmp_path):
    purchases_only(tmp_path, users=60, items=100, length=6)
    chance = sum(1 / np.log2(rank + 1) for rank in range(1, 11)) / 100  # 0.045
    assert finished[1].metrics["ndcg@10"] > 5 * chance
    assert run(tmp_path, name="bought").metrics["ndcg@10"] < 2.5 * chance


def test_details_and_the_callback(finished):
    _, result, reports = finished
    assert [epoch for epoch, _ in reports] == [0, 1, 2, 3]
    assert (result.details["epochs"], result.details["epochs_allowed"]) == (4, 4)
    assert result.details["source"] is None and result.details["backbone"] == "embedded"
    assert result.details["parameters"] > 10_000
    assert result.details["pretrain"]["steps"] == 4 and result.details["pretrain"]["last_loss"] > 0
    assert result.valid["ndcg@10"] == pytest.approx(max(score for _, score in reports), abs=1e-6)
    assert sorted(set(result.seconds) - {"total"}) == STAGES and not result.reused
    json.dumps(result.details, allow_nan=False)


def test_finished_run_is_reused(finished, tmp_path):
    reports = []
    again = run(copied(finished, tmp_path), reports=reports)
    assert sorted(again.reused) == STAGES and reports == finished[2]
    assert again.ranks.equals(finished[1].ranks) and again.details == finished[1].details


def test_run_is_resumed(finished, tmp_path):
    copied(finished, tmp_path)
    [second] = (tmp_path / "saved/groups/stages").glob("recformer_stage2-*")
    shutil.rmtree(second)
    reports = []
    again = run(tmp_path, reports=reports)
    assert sorted(set(STAGES) - set(again.reused)) == ["recformer_stage2"]
    assert reports == finished[2] and again.ranks.equals(finished[1].ranks) and stages(tmp_path) == stages(finished[0])


def test_stages_do_not_depend_on_test_targets(finished, tmp_path):
    replace_test_targets(finished[0] / "groups", tmp_path / "groups")
    again = run(tmp_path)
    assert stages(tmp_path) == stages(finished[0])
    assert not again.ranks.equals(finished[1].ranks)


def test_masking_the_history_names_other_stages(finished, tmp_path):
    """The best epoch is chosen on lists without the history, so it may be another one."""
    again = run(copied(finished, tmp_path), mask_history=True)
    assert sorted(again.reused) == ["recformer_pretrain", "recformer_tokenizer"]


def test_both_models_share_stages_without_searches(finished, tmp_path):
    groups(tmp_path)
    other = run(tmp_path, RecformerQuery)
    assert stages(tmp_path) == stages(finished[0]) and not other.reused
    assert other.ranks.equals(finished[1].ranks) and other.valid == finished[1].valid


@pytest.mark.slow
def test_searches_change_recformer_query(finished, tmp_path):
    folder = groups(tmp_path, search=True)
    plain, query = run(tmp_path), run(tmp_path, RecformerQuery)
    assert query.reused == ["recformer_tokenizer"]  # trained on items and training queries for both
    assert not plain.ranks.equals(query.ranks)
    # the search before the final purchase reaches the score alone
    made = stages(tmp_path)
    file = folder / "groups.search"
    lines = file.read_text().splitlines()
    changed = [line.replace("query", "other") if line.split("\t")[1] == "450" else line for line in lines]
    file.write_text("\n".join(changed) + "\n")
    again = run(tmp_path, RecformerQuery)
    assert stages(tmp_path) == made and not again.ranks.equals(query.ranks)


def test_last_epoch_is_kept_without_validation_rows(tmp_path):
    lines = groups(tmp_path).joinpath("groups.inter").read_text().splitlines()
    kept = [line if line.endswith("\t500") else line.replace("purchase", "click") for line in lines]
    (tmp_path / "groups/groups.inter").write_text("\n".join(kept) + "\n")
    result = run(tmp_path, click_filter="none", recformer_pretrain_epochs=0)
    assert result.valid == {} and result.details["epochs"] == 4
    [fit] = (tmp_path / "saved/groups/stages").glob("recformer_stage2-*/fit.json")
    assert json.loads(fit.read_text())["best_score"] is None


@pytest.mark.slow
def test_zero_shot_trains_on_the_source_only(finished, tmp_path):
    root = copied(finished, tmp_path)
    groups(root, "other", seed=1)
    result = run(root, name="other", source_dataset="groups")
    assert sorted(result.reused) == STAGES and stages(root) == stages(finished[0])  # the source's own run, found
    assert [name.split("-")[0] for name in stages(root, "other")] == ["recformer_items"]
    assert result.details["source"] == "groups" and result.details["epochs"] == 4
    bare = run(root, name="other", source_dataset="groups", recformer_pretrain_epochs=0, recformer_finetune=False)
    assert "pretrain" not in bare.details and bare.details["epochs"] == 0
    pretrained = run(root, name="other", source_dataset="groups", recformer_finetune=False)
    assert "recformer_pretrain" in pretrained.reused and not pretrained.ranks.equals(bare.ranks)
    # the target's training rows train nothing: other rows, the same stages
    (root / "other/other.inter").write_text("\n".join(
        line.replace("purchase", "click") if line.endswith("\t0") else line
        for line in (root / "other/other.inter").read_text().splitlines()
    ) + "\n")  # fmt: skip
    before = stages(root, "other")
    run(root, name="other", source_dataset="groups", click_filter="none")
    assert stages(root, "other") == before


def test_pretrained_stage_as_backbone(finished, tmp_path):
    root = copied(finished, tmp_path)
    groups(root, "other", seed=1)
    keys = SMALL | {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    folder = pretrain_corpus(Recformer, "groups", (), keys)
    assert folder.name in stages(finished[0])  # a run's own stage, found
    result = run(root, name="other", recformer_name_or_path=str(folder), recformer_pretrain_epochs=0)
    assert result.details["backbone"] == str(folder)
    assert [name.split("-")[0] for name in stages(root, "other")] == ["recformer_stage1", "recformer_stage2"]
    with pytest.raises(UserError, match="lower 11 and 64"):
        run(root, name="other", recformer_name_or_path=str(folder), recformer_max_items=11)
    with pytest.raises(UserError, match="recformer_pretrain_epochs"):
        pretrain_corpus(Recformer, "groups", (), keys | {"recformer_pretrain_epochs": 0})


def test_local_longformer_as_backbone(tmp_path):
    groups(tmp_path)
    folder = tmp_path / "longformer"
    vocabulary = Vocabulary.train(["boots sandals scarf clutch belt title brand category"], 300)
    config = LongformerConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=70, type_vocab_size=1, attention_window=[8], pad_token_id=0, bos_token_id=1,
    )  # fmt: skip
    LongformerForMaskedLM(config).save_pretrained(str(folder))
    vocabulary.save(folder)
    keys = {"recformer_name_or_path": str(folder), "recformer_stage1_epochs": 1, "recformer.freeze_words": "both"}
    result = run(tmp_path, **keys)
    assert result.details["epochs"] == 2 and result.details["parameters"] < 20_000
    assert "recformer_tokenizer" not in result.seconds
    with pytest.raises(UserError, match="lower 10 and 128"):
        run(tmp_path, **keys, recformer_max_tokens=128)


def test_folder_of_the_stages(tmp_path):
    assert stage_root(config_of(tmp_path)) == tmp_path / "saved/tiny/stages"
