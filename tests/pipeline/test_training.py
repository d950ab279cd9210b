"""What names a stage of the models that train on one dataset, and what does not."""

from types import SimpleNamespace

import numpy as np
import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline.training import TrainedModels, has_contrast
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.stage_store import StageStore
from tests.helpers.fakes import INTER, ITEM, SEARCH, SMALL, write_tiny

# two more users, who search before each of five purchases
BUYS = "".join(f"u{u}\t{11 + (u + i) % 6}\tpurchase\t{1701000000 + 100 * i}\n" for u in (4, 5) for i in range(5))
SEARCHES = "".join(f"u{u}\t{1701000050 + 100 * i}\t{['red', 'blue'][u % 2]} {i}\t\n" for u in (4, 5) for i in (0, 1))


class Named(Exception):
    """Raised in place of building a stage."""


class NamesOnly(StageStore):
    """Raises the name that a stage would have."""

    def get(self, name, inputs, build):
        self.inputs = inputs
        raise Named(self.path(name, inputs).name)


def models_of(root, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    config = load_config(LLMFashionRec, "tiny", (), {**SMALL, **folders, **keys})
    return TrainedModels(config, DatasetTexts(make_loaders(config).dataset), NamesOnly(root / "stages"))


def names_of(root, **keys):
    """The names of the stages `clip` and `title`."""
    found = {}
    for part, stage in (("clip", "clip"), ("title_model", "title")):
        with pytest.raises(Named) as error:
            getattr(models_of(root, **keys), part)
        found[stage] = str(error.value)
    return found


def shop_of(root, inter=INTER + BUYS, search=SEARCH + SEARCHES, item=ITEM):
    write_tiny(root, inter, search, item)
    return root


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return shop_of(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def names(shop):
    return names_of(shop)


@pytest.mark.parametrize(
    ("keys", "changed"),
    [
        ({"seed": 7}, {"clip", "title"}),
        ({"clip.epochs": 2}, {"clip"}),
        ({"clip.width": 32}, {"clip"}),
        ({"title_model.epochs": 2}, {"title"}),
        ({"title_model.margin": 0.5}, {"title"}),
        # later stages
        ({"lora_r": 8, "llm_epochs": 2, "prompt_template": "paper"}, set()),
        ({"ranking": "mixup", "mixup_m": 3, "num_beams": 5, "item_tokens": "text"}, set()),
        ({"memory_neighbors": 1, "memory_products": 2, "epochs": 9, "train_batch_size": 32}, set()),
        ({"mask_history": True, "show_progress": True, "topk": [1, 3]}, set()),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_keys_that_name_another_stage(shop, names, keys, changed):
    found = names_of(shop, **keys)
    assert {stage for stage in names if found[stage] != names[stage]} == changed


@pytest.mark.parametrize(
    ("files", "changed"),
    [
        ({"inter": (INTER + BUYS).replace("u2\t13\tpurchase", "u2\t15\tpurchase")}, set()),  # a test target
        ({"inter": (INTER + BUYS).replace("u4\t13\tpurchase\t1701000400", "u4\t16\tpurchase\t1701000400")}, set()),
        ({"search": (SEARCH + SEARCHES).replace("last minute", "late")}, set()),  # led to no training action
        ({"item": ITEM.replace("\tLumo\t", "\tNorda\t")}, set()),
        ({"item": ITEM.replace("Plain Socks", "Wool Socks")}, {"title"}),  # no query led to it
        ({"item": ITEM.replace("Blue Winter", "Teal Winter")}, {"clip", "title"}),
        ({"item": ITEM + "17\tNew Hat\t\t\t\t\n"}, {"title"}),
        ({"search": (SEARCH + SEARCHES).replace("red 0", "pink 0")}, {"clip", "title"}),
    ],
    ids=[
        "test target",
        "another test target",
        "unused query",
        "brand",
        "title without a pair",
        "title",
        "new item",
        "query",
    ],
)
def test_rows_that_name_another_stage(names, tmp_path, files, changed):
    found = names_of(shop_of(tmp_path, **files))
    assert {stage for stage in names if found[stage] != names[stage]} == changed


def test_two_queries_and_two_titles_are_a_contrast():
    assert has_contrast([("boots", "Red boots"), ("bag", "Blue bag")])
    assert not has_contrast([("boots", "Red boots"), ("Boots ", "Blue bag")])
    assert not has_contrast([("boots", "Red boots"), ("bag", "red  boots")])
    assert not has_contrast([])


def test_a_log_without_contrast_has_no_clip_and_derived_title_pairs(tmp_path):
    models = models_of(shop_of(tmp_path, INTER, ""))
    assert models.clip is None
    with pytest.raises(Named, match=r"^title-"):
        _ = models.title_model
    assert models.report == {
        "clip": "none: the training log has no two queries with items of two titles",
        "title_pairs": "derived",
    }


def test_a_run_without_memory_trains_no_clip_tower(shop):
    models = models_of(shop, memory_products=0)  # its pairs have contrast, but nothing reads the tower
    assert models.clip is None and models.report["clip"] == "not used"
    with pytest.raises(Named, match=r"^clip-"):
        _ = models_of(shop, memory_products=0, ranking="clip").clip


def test_pairs_of_the_training_log(shop):
    pairs = models_of(shop)._pairs
    assert set(pairs["bought"]) <= set(pairs["acted"]) and len(pairs["acted"]) > len(pairs["bought"])
    assert ("red boots", "Norda Red Winter Boots") in pairs["acted"]  # a click
    assert ("red boots", "Norda Red Winter Boots") not in pairs["bought"]
    targets = {"last minute", "red boot"}  # queries before u1's test target
    assert not targets & {query for query, _ in pairs["acted"]}


class FakeLanguageModel:
    """Records the calls in order."""

    def __init__(self, stage_is_missing):
        self.calls, self._missing, self.report = [], stage_is_missing, {"tokens": 9}

    def prepare(self, *arguments):
        self.calls.append(("prepare", *arguments))
        return self._missing

    def finetune(self):
        self.calls.append("finetune")


@pytest.mark.parametrize(("missing", "steps"), [(True, ["backbone", "adapter"]), (False, ["adapter"])])
def test_steps_of_the_llm(shop, missing, steps):
    models, llm = models_of(shop), FakeLanguageModel(missing)
    models.__dict__["llm"] = llm
    found = []
    for step in models.train(["example"], "tokens", "decoder", "validation"):
        assert ("finetune" in llm.calls) is (step == "adapter") is ("tokens" in models.report)
        found.append(step)
    assert found == steps and llm.calls == [("prepare", ["example"], "tokens", "decoder", "validation"), "finetune"]


def test_codes_are_named_after_the_titles_in_the_fixed_order_of_items(tmp_path):
    head, *rows = ITEM.splitlines()
    names = set()
    for folder, item in (("a", ITEM), ("b", "\n".join([head, *rows[::-1]]) + "\n")):
        models = models_of(shop_of(tmp_path / folder, item=item))
        models.__dict__["title_model"] = SimpleNamespace(encode=vectors_of)
        with pytest.raises(Named, match=r"^codes-") as error:
            _ = models.codes
        names.add(str(error.value))
    assert len(names) == 1


def vectors_of(titles, show_progress):
    return np.array([[len(title), title.count("o")] for title in titles], np.float32)
