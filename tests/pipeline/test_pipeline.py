"""Zero-shot on two small simulated shops: who learns, who is only inference, and what the target's log can reach."""

import json
import shutil

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.cli.train import main
from recbole_llmfashion.config import keys as keys_module
from recbole_llmfashion.config.configurator import load_config, no_core
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline.pipeline import SOURCE_KEYS, llm_config, make_pipeline
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
from tests.helpers.fakes import ITEM, SMALL, purchases_only, replace_test_targets, write_tiny
from tests.helpers.sessions import sessions

LEARNED = {"title", "clip", "adapter"}
KEYS = {**SMALL, "click_filter": "none"}  # the paper's filter looks at test targets


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    for name, category in (("shoes", "footwear"), ("bags", "luggage_bags")):
        size = ["--users", "16", "--items", "300", "--seed", "3"]
        made = CliRunner().invoke(app, ["simulate", "--category", category, *size, "--out", str(root / name)])
        assert made.exit_code == 0, made.output
    return root


@pytest.fixture(scope="module")
def first(shop):
    """The command itself: the source's stages are not there yet."""
    keys = {"source_dataset": "shoes", "data_path": shop, "checkpoint_dir": shop / "saved", **KEYS}
    fixed = ["--model=LLMFashionRec", "--dataset=bags", f"--output={shop / 'first'}"]
    assert main([*fixed, *(f"--{key}={value}" for key, value in keys.items())]) == 0
    ranks = pd.read_parquet(shop / "first/ranks.parquet").query("model == 'LLMFashionRec'")
    row = json.loads((shop / "first/results.json").read_text())["models"]["LLMFashionRec"]
    return row | {"tops": tops(ranks), "prompts": prompts_of(shop, set())}


@pytest.fixture(scope="module")
def with_log(shop, first):
    before = stages(shop, "bags")
    result = run(shop, zero_shot_target_log=True)
    return result, prompts_of(shop, before)


def config_of(shop, dataset="bags", data="", **keys):
    folders = {"data_path": str(shop / data), "checkpoint_dir": str(shop / "saved")}
    return load_config(LLMFashionRec, dataset, (), {**KEYS, **folders, **keys})


def run(shop, dataset="bags", data="", **keys):
    source = {"source_dataset": "shoes"} if dataset == "bags" else {}
    return run_experiment(config_of(shop, dataset, data, **source, **keys))


def stages(shop, dataset):
    return {path.name for path in (shop / "saved" / dataset / "stages").glob("*-*")}


def tops(ranks):
    """By user, the head of the list."""
    return {user: list(top) for user, top in zip(ranks["user"], ranks["top"], strict=True)}


def prompts_of(shop, before):
    """Digests of the prompts in the one stage of responses that is new."""
    (new,) = stages(shop, "bags") - before
    return set(pd.read_parquet(shop / "saved/bags/stages" / new / "responses.parquet")["prompt"])


def test_only_the_source_learns(shop, first):
    assert first["status"] == "ok" and {name.split("-")[0] for name in stages(shop, "bags")} == {"responses"}
    assert {name.split("-")[0] for name in stages(shop, "shoes")} >= LEARNED
    assert set(first["seconds"]) == {*LEARNED, "responses", "total"}
    assert first["valid"] == {} and first["mixup_validation"] == {}  # the target's validation rows are its log


def test_the_result_says_that_it_is_zero_shot(shop, first):
    assert first["zero_shot"] == {
        "source_dataset": "shoes", "tuned": False, "target_log": False, "memory": False,
        "id_list": "the generated ID itself", "mixup_m": 1, "last_fallback": "a fixed order",
    }  # fmt: skip
    assert "trained on the log (shoes), title pairs queries (shoes)" in (shop / "first/table.md").read_text()
    assert first["generation"]["valid_id_rate"] == 1.0  # of the target's items
    items = {line.split("\t")[0] for line in (shop / "bags/bags.item").read_text().splitlines()[1:]}
    assert len(first["tops"]) == first["rows"]["test"] and {i for top in first["tops"].values() for i in top} <= items


def test_the_sources_own_run_finds_every_stage(shop, first):
    before = stages(shop, "shoes")
    own = run(shop, "shoes", mixup_m=2)
    assert set(own.reused) == LEARNED and "zero_shot" not in own.details
    assert {name.split("-")[0] for name in stages(shop, "shoes") - before} == {"train_SASRecSampled", "responses"}


def test_with_the_targets_log_its_memory_answers(shop, first, with_log):
    result, prompts = with_log
    assert set(result.reused) == LEARNED
    found = result.details["zero_shot"]
    assert found["target_log"] and found["memory"] and found["last_fallback"] == "popularity"
    assert len(prompts & first["prompts"]) < len(prompts) // 2
    assert {name.split("-")[0] for name in stages(shop, "bags")} == {"responses"}


@pytest.mark.slow
def test_without_the_log_the_last_fallback_is_a_fixed_order(shop, first, monkeypatch):
    """No answer can be read, so every row is the fallback's."""
    gibberish = lambda generator, prompts, *_: [Response("gibberish")] * len(prompts)  # noqa: E731
    monkeypatch.setattr("recbole_llmfashion.pipeline.language_model.generate_responses", gibberish)
    result = run(shop, decoding="sample", response_title="generated")
    assert result.details["generation"]["popularity_list_rate"] == 1.0
    items = [line.split("\t")[0] for line in (shop / "bags/bags.item").read_text().splitlines()[1:]]
    ranks = tie_rank(items)
    fixed = sorted(items, key=lambda item: ranks[items.index(item)])[:10]
    assert all(top == fixed for top in tops(result.ranks).values())


def test_a_zero_shot_run_is_served_as_it_was_evaluated(shop, first):
    recommender, inference = Recommender.from_pretrained(first["run"]), sessions(shop / "bags")
    for user, top in first["tops"].items():
        actions, now = inference[user]
        assert [line.item for line in recommender.recommend(actions, now=now)] == list(top)


def test_other_test_targets_change_no_stage(shop, first):
    replace_test_targets(shop / "bags", shop / "targets/bags")
    shutil.copytree(shop / "shoes", shop / "targets/shoes")
    before = {name: stages(shop, name) for name in ("shoes", "bags")}
    other = run(shop, data="targets")
    assert {name: stages(shop, name) for name in ("shoes", "bags")} == before
    assert tops(other.ranks) == first["tops"] and other.metrics["mrr"] != first["mrr"]


def change_log(folder, users):
    """All items and words of these users become others."""
    items = [line.split("\t")[0] for line in (folder / "bags.item").read_text().splitlines()[1:]]
    other = dict(zip(items, items[7:] + items[:7], strict=True))
    for name in ("bags.inter", "bags.search"):
        head, *rows = [line.split("\t") for line in (folder / name).read_text().splitlines()]
        for row in rows:
            if row[0] in users and name == "bags.inter":
                row[1] = other[row[1]]
            elif row[0] in users:
                row[2], row[3] = f"other {row[2]}", " ".join(other[item] for item in row[3].split())
        (folder / name).write_text("\n".join("\t".join(row) for row in [head, *rows]) + "\n")


def test_without_the_log_no_list_depends_on_other_users(shop, first, with_log):
    """Two thirds of the target's users act and search otherwise: prompts and lists of the others stay as they are;
    with the log, the memory has it."""
    users = sorted(first["tops"])
    changed = {user for i, user in enumerate(users) if i % 3}
    kept = set(users) - changed
    for name in ("bags", "shoes"):
        shutil.copytree(shop / name, shop / "log" / name)
    change_log(shop / "log/bags", changed)
    before = stages(shop, "bags")
    result = run(shop, data="log")
    assert set(result.reused) == LEARNED and len(prompts_of(shop, before) & first["prompts"]) == len(kept)
    assert {user: top for user, top in tops(result.ranks).items() if user in kept} == {
        user: first["tops"][user] for user in kept
    }
    before = stages(shop, "bags")
    assert set(run(shop, data="log", zero_shot_target_log=True).reused) == LEARNED
    assert len(prompts_of(shop, before) & with_log[1]) < len(kept)


def test_a_backbone_from_a_folder_is_the_sources_too(shop, first):
    """The same backbone under another path, so that the source's adapter is found."""
    folder = shutil.copytree(SMALL["llm_name_or_path"], shop / "backbone")
    before = stages(shop, "shoes")
    result = run(shop, llm_name_or_path=str(folder))
    assert set(result.reused) == {"title", "clip", "adapter", "responses"} and stages(shop, "shoes") == before


def zero_shot_inference(shop, **keys):
    """Inference on the target, the LLM with the source's adapter, and the model that generates."""
    config = config_of(shop, source_dataset="shoes", **keys)
    stores = StageStore(shop / "saved/bags/stages")
    zero_shot = make_pipeline(config, make_loaders(config).dataset, stores, no_core)
    *_, last = zero_shot.train(None, None)
    inference = zero_shot.inference
    assert last == "adapter"
    return inference, inference.trained.llm, inference.trained.llm._load(inference.item_tokens)


@pytest.mark.parametrize("index", ["atomic", "semantic", "text"])
def test_the_sources_adapter_answers_with_rows_of_the_targets_words(shop, first, index):
    inference, llm, model = zero_shot_inference(shop, item_tokens=index)
    saved = load_file(str(llm.adapter / "adapter_model.safetensors"))
    lora = {name: value for name, value in saved.items() if "lora_" in name}
    state = model.state_dict()
    assert lora and all(
        torch.equal(value, state[name.replace(".weight", ".default.weight")]) for name, value in lora.items()
    )
    if index == "text":
        assert inference.item_tokens is None and not any("trainable_tokens" in name for name in saved)
        return
    backbone = load_backbone(llm.source, "none", device="cpu")
    add_item_tokens(backbone, inference.item_tokens)
    rows = model.get_input_embeddings().weight[inference.item_tokens.first :]
    assert torch.equal(rows, backbone.model.get_input_embeddings().weight[inference.item_tokens.first :])
    assert (
        len(inference.item_tokens.words) == len({*map(tuple, inference.item_tokens.ids)}) == len(inference.texts.titles)
    )
    (trained,) = [value for name, value in saved.items() if "trainable_tokens" in name]
    assert not torch.equal(rows[:40], trained[:40])  # those are the source's items


def test_the_keys_are_those_of_the_sources_run(tmp_path, monkeypatch):
    """Tuned files and the source's dataset file included; of the list that knows one item, one position is taken."""
    shutil.copytree(keys_module.properties_folder(), tmp_path / "properties")
    for name, width, start in (("shoes", 16, 0), ("bags", 48, "m")):
        (tmp_path / f"properties/tuned/{name}").mkdir(parents=True)
        text = f"mixup_m: 3\nmixup_k: {width}\ntitle_model.hidden: {width}\nmixup_title_start: {start}\n"
        (tmp_path / f"properties/tuned/{name}/LLMFashionRec.yaml").write_text(text)
        (tmp_path / name).mkdir()
    monkeypatch.setattr(keys_module, "properties_folder", lambda: tmp_path / "properties")
    file = tmp_path / "mine.yaml"
    file.write_text("source_dataset: shoes\nzero_shot_target_log: True\nlora_r: 2\n")
    keys = {"data_path": str(tmp_path), "use_tuned": True, "seed": 7}
    answering = llm_config(load_config(LLMFashionRec, "bags", [str(file)], keys))
    assert answering["mixup_m"] == 1 and answering["mixup_k"] == answering["title_model.hidden"] == 16
    own = load_config(LLMFashionRec, "shoes", [str(file)], {**keys, **SOURCE_KEYS}).final_config_dict
    assert answering.final_config_dict == own and own["lora_r"] == 2 and own["source_dataset"] is None
    model = LLMFashionRec.__new__(LLMFashionRec)
    LLMFashionRec.configure(model, answering)
    model.weights = {}
    ranking = model.ranking_settings()
    assert (ranking.m, ranking.k, ranking.title_start) == (1, 16, 0)


def test_dates_are_shown_only_where_both_have_them(tmp_path):
    write_tiny(tmp_path, item=ITEM)
    purchases_only(tmp_path, users=4, items=8, length=5)
    for source, target, dates in (("bought", "tiny", False), ("tiny", "bought", False), ("tiny", "other", True)):
        if target == "other":
            write_tiny(tmp_path, name="other")
        keys = {**SMALL, "data_path": str(tmp_path), "checkpoint_dir": str(tmp_path / "saved"), "topk": [3]}
        config = load_config(LLMFashionRec, target, (), {**keys, "source_dataset": source})
        zero_shot = make_pipeline(
            config, make_loaders(config).dataset, StageStore(tmp_path / "saved" / target / "stages"), no_core
        )
        assert zero_shot.inference.builder.settings.dates is dates


def test_a_source_that_cannot_be_one_is_one_line(tmp_path):
    write_tiny(tmp_path)
    keys = {"data_path": str(tmp_path), "topk": [3], "valid_metric": "NDCG@3"}
    for source, expected in (
        ("tiny", "is the dataset itself"),
        ("shoes", f"{tmp_path}/shoes is not there; make it with"),
    ):
        config = load_config(LLMFashionRec, "tiny", (), {**keys, "source_dataset": source})
        for refuse in (LLMFashionRecTrainer.validate_config, run_experiment):
            with pytest.raises(UserError, match=expected) as error:
                refuse(config)
            assert "\n" not in str(error.value)


def test_an_attribute_that_the_target_lacks(tmp_path):
    """The prompts of zero-shot show the attributes of the source's run."""
    write_tiny(tmp_path, item=_with_season(ITEM), name="source")
    write_tiny(tmp_path)
    keys = {"data_path": str(tmp_path), "topk": [3], "valid_metric": "NDCG@3", "prompt_attributes": ["season"]}
    config = load_config(LLMFashionRec, "tiny", (), {**keys, "source_dataset": "source"})
    message = r"^prompt_attributes: .* tiny.item, that is brand, color, size, category, found 'season'$"
    for refuse in (LLMFashionRecTrainer.validate_config, run_experiment):
        with pytest.raises(UserError, match=message):
            refuse(config)
    write_tiny(tmp_path, item=_with_season(ITEM))
    LLMFashionRecTrainer.validate_config(config)
    assert make_loaders(config).dataset.catalogue.attributes["season"] == ("winter",) * 6


def _with_season(item):
    header, *rows = item.splitlines()
    return "\n".join([f"{header}\tseason:token", *(f"{row}\twinter" for row in rows)]) + "\n"


def test_a_search_finds_nothing_to_choose_on(shop, first):
    reports = []
    config = config_of(shop, source_dataset="shoes")
    result = run_experiment(config, callback_fn=lambda *report: reports.append(report), test=False)
    assert reports == [] and result.valid == {} and result.metrics == {}
