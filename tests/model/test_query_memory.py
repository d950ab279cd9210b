"""QueryMemory by hand, then on a small shop: the source of each row, the stages it makes, the columns it reads."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.dataset import HISTORY_LENGTH
from recbole_llmfashion.data.loaders import make_loaders, stage_root
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.popularity import Popularity
from recbole_llmfashion.model.query_memory import QueryMemory
from recbole_llmfashion.model.text_knn import TextKNN
from recbole_llmfashion.model.text_sasrec import TextSASRec
from recbole_llmfashion.pipeline.pipeline import own_pipeline
from recbole_llmfashion.pipeline.training import TrainedModels
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.retrieval.lists.title_list import TitleList
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.query_memory import QueryMemoryTrainer
from tests.helpers.fakes import INTER, ITEM, SEARCH, hash_encoder, replace_test_targets, simulated_shop, write_tiny

QUICK = {"title_model": {"epochs": 1}, "clip": {"epochs": 1}, "show_progress": False}
TOPK_3 = {"topk": [3], "valid_metric": "NDCG@3"}


def config_of(model, root, name="tiny", **keys):
    overrides = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), **QUICK, **keys}
    return load_config(model, name, overrides=overrides, model_names=["LLMFashionRec", "QueryMemory"])


def test_what_leads_a_row_by_hand(tmp_path):
    # catalogue positions 0: Gilt Evening Clutch 1: Norda Red Winter Boots 2: Norda Blue .. 3: Vela Black Sandals
    # 4: Vela White Sandals 5: Plain Socks; popularity 1 2 1 1 0 0
    write_tiny(tmp_path)
    config = config_of(QueryMemory, tmp_path, **TOPK_3)
    dataset = make_loaders(config).train._dataset
    model = QueryMemory(config, dataset)
    tie = tie_rank(dataset.catalogue.item_ids)
    answers = {(1, 3): ("vela black sandals", [5, 4]), (2, 7): ("red boots", []), (2, 0): (None, [])}
    model.attach(
        lambda user, length: answers[user, length],
        TitleList(hash_encoder(dataset.catalogue.titles), hash_encoder, tie),
    )
    # no other column is there: the target cannot be looked at
    rows = Interaction({"user_id": torch.tensor([1, 2, 2]), HISTORY_LENGTH: torch.tensor([3, 7, 0])})
    scores = model.full_sort_predict(rows)
    assert scores.shape == (3, 7) and scores.isfinite().all()
    assert all(row.sort().values.tolist() == [0, 1, 2, 3, 4, 5, 6] for row in scores) and not scores[:, 0].any()
    order = (scores.argsort(dim=1, descending=True)[:, :-1] - 1).tolist()
    assert order[0][:3] == [5, 4, 3]  # the memory's products in its order, then the closest title of the others
    assert order[1][:2] == [1, 2]  # two words in common, then one
    tied = sorted([0, 2, 3], key=lambda item: tie[item])
    assert order[2] == [1, *tied, *sorted([4, 5], key=lambda item: tie[item])]
    assert model.source_shares() == {"memory": 1 / 3, "title": 1 / 3, "popularity": 1 / 3}
    rows.update(Interaction({"item_id": torch.tensor([6, 2, 1])}))
    assert model.predict(rows).tolist() == [6.0, 6.0, scores[2, 1].item()]
    assert model.sources["memory"] == 2


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return simulated_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def first(shop):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainedModels, "llm", property(lambda self: pytest.fail("the LLM's side was used")))
        return run_experiment(config_of(QueryMemory, shop, "shoes", click_filter="none"))


def test_it_makes_the_stages_of_the_llm_row_and_no_other(shop, first):
    made = {path.name.split("-")[0] for path in (shop / "saved/shoes/stages").glob("*-*")}
    assert made == {"clip", "title"} == set(first.seconds) - {"total"}
    config = config_of(LLMFashionRec, shop, "shoes", click_filter="none")
    found = []
    store = StageStore(stage_root(config), lambda name, seconds, reused: found.append((name, reused)))
    ours = own_pipeline(config, make_loaders(config).dataset, store, lambda: pytest.fail("CORE was used"))
    assert ours.memory is not None and ours.trained.title_model is not None
    assert found == [("clip", True), ("title", True)]
    assert first.details["clip"] == "trained on the log" and first.details["title_pairs"] == "queries"


@pytest.mark.parametrize("model", [QueryMemory, TextKNN, TextSASRec])
def test_titles_are_derived_from_the_attributes_of_the_llm_row(tmp_path, model):
    """Searches, but no pair to train on: the title stage of both is one, and reads a further column of `.item`."""
    header, *rows = ITEM.splitlines()
    items = [f"{header}\tseason:token", *(f"{row}\twinter" for row in rows)]
    write_tiny(tmp_path, search=SEARCH.splitlines()[0] + "\nu1\t1701000250\tshoes\t\n", item="\n".join(items) + "\n")
    keys = TOPK_3 | {"prompt_attributes": ["category", "season"]}
    pairs = []
    for one in (model, LLMFashionRec):
        config = config_of(one, tmp_path, **keys)
        texts = DatasetTexts(make_loaders(config).dataset)
        trained = TrainedModels(config.sibling(LLMFashionRec), texts, StageStore(tmp_path / "stages"))
        pairs.append((trained._pairs["bought"], trained._derived_pairs))
        assert texts.attribute_text(5) == "socks winter"
    assert pairs[0] == pairs[1] and pairs[0][0] == []


def test_the_memory_gets_the_query_of_the_prompt_of_an_evaluation_row(shop, first):
    config = config_of(QueryMemory, shop, "shoes", click_filter="none")
    loaders = make_loaders(config)
    trainer = QueryMemoryTrainer(config, QueryMemory(config, loaders.train._dataset))
    trainer.set_data(loaders, StageStore(stage_root(config)), lambda: pytest.fail("CORE was used"))
    pipeline, feat = trainer.pipeline, loaders.test._dataset.inter_feat
    queries, query_of_search = pipeline.inference.texts.queries, loaders.dataset.search_log.query_index
    texts = SimpleNamespace(text=lambda search: queries[query_of_search[search]])
    builder = SimpleNamespace(memory=pipeline.memory, _queries=texts)
    counts = {"memory": 0, "title": 0, "popularity": 0}
    for user, length in zip(feat["user_id"].tolist(), feat[HISTORY_LENGTH].tolist(), strict=True):
        query, products = trainer.model.last_query(user, length)
        events = loaders.dataset.timeline.events(user, length)
        assert (
            list(products)
            == PromptBuilder.memory_products(builder, events, False)[: pipeline.config["memory_products"]]
        )
        counts["popularity" if query is None else "memory" if products else "title"] += 1
    assert first.details["sources"] == {name: count / len(feat) for name, count in counts.items()}
    assert counts["memory"] > 10 and sum(counts.values()) == first.details["rows"]["test"]


def test_test_targets_change_nothing_but_ranks(shop, first):
    replace_test_targets(shop / "shoes", shop / "other/shoes")
    other = config_of(QueryMemory, shop / "other", "shoes", click_filter="none", checkpoint_dir=str(shop / "saved"))
    again = run_experiment(other)
    assert set(again.reused) == {"clip", "title"} and again.valid == first.valid
    assert again.ranks["top"].map(list).tolist() == first.ranks["top"].map(list).tolist()
    assert (again.ranks["target"] != first.ranks["target"]).all()


def test_results_of_a_later_search_change_nothing(tmp_path):
    """u1's last two searches are later than its last training target: their words count, their results do not."""
    items = ITEM + "".join(f"{i}\tShoe {i}\t\t\t\t\n" for i in range(20, 30))
    inter = INTER.replace("u3\t11\tpurchase\t1701000001", "u3\t11\tpurchase\t1701000001.5")  # after u3's search
    write_tiny(tmp_path / "a", inter, SEARCH, items)
    write_tiny(tmp_path / "b", inter, SEARCH.replace("16 11", "22 23").replace("minute\t15", "minute\t24"), items)
    write_tiny(tmp_path / "c", inter, SEARCH.replace("\t11 12", "\t22 23"), items)
    tops = []
    for part in "abc":
        result = run_experiment(config_of(QueryMemory, tmp_path / part, click_filter="none"))
        tops.append({user: list(top) for user, top in zip(result.ranks["user"], result.ranks["top"], strict=True)})
    assert tops[0] == tops[1]
    # a training search's results do count
    assert not {"22", "23"} & set(tops[0]["u1"][:5]) and {"22", "23"} < set(tops[2]["u1"][:5])


def test_a_log_without_searches_is_popularity_and_makes_no_stage(tmp_path):
    write_tiny(tmp_path, search="")
    result = run_experiment(config_of(QueryMemory, tmp_path, **TOPK_3))
    assert result.details["sources"] == {"memory": 0.0, "title": 0.0, "popularity": 1.0}
    assert set(result.seconds) == {"total"} and not list((tmp_path / "saved").rglob("stage.json"))
    assert result.metrics == run_experiment(config_of(Popularity, tmp_path, **TOPK_3)).metrics


def test_without_the_memory_the_title_model_leads(tmp_path):
    write_tiny(tmp_path)
    result = run_experiment(config_of(QueryMemory, tmp_path, memory_products=0, **TOPK_3))
    assert result.details["sources"] == {"memory": 0.0, "title": 2 / 3, "popularity": 1 / 3}  # u2 never searched


def test_keys_of_the_llm_row_are_checked():
    with pytest.raises(UserError, match="memory_neighbors: expected a whole number of 1 or more"):
        load_config(QueryMemory, "x", overrides={"memory_neighbors": 0}, model_names=["LLMFashionRec"])
    config = load_config(QueryMemory, "x", overrides={"decoding": "sample"}, model_names=["LLMFashionRec"])
    with pytest.raises(UserError, match="response_title"):
        QueryMemoryTrainer.validate_config(config)


def searched_and_bought(root, name, queries_help):
    """Forty users who search a kind of thing and buy one; or whose queries have nothing to do with what they buy."""
    rng = np.random.default_rng(0)
    inter, search = [INTER.splitlines()[0]], [SEARCH.splitlines()[0]]
    for user in range(40):
        for step in range(5):
            kind, typed = rng.integers(20), rng.integers(20)
            typed = kind if queries_help else typed
            search.append(f"u{user}\t{2 * step}\tkind{typed}\t")
            inter.append(f"u{user}\ti{10 * kind + rng.integers(10)}\tpurchase\t{2 * step + 1}")
    items = ITEM.splitlines()[0] + "\n" + "".join(f"i{i}\tkind{i // 10} thing{i}\t\t\t\t\n" for i in range(200))
    write_tiny(root, "\n".join(inter) + "\n", "\n".join(search) + "\n", items, name)


def test_it_is_good_where_queries_help_and_low_where_they_do_not(tmp_path):
    found = {}
    for name in ("helpful", "noise"):
        searched_and_bought(tmp_path, name, name == "helpful")
        found[name] = run_experiment(
            config_of(QueryMemory, tmp_path, name, clip={"epochs": 3}, title_model={"epochs": 8})
        ).metrics
    chance = 10 / 200
    assert found["helpful"]["recall@10"] > 8 * chance and found["noise"]["recall@10"] < 4 * chance
