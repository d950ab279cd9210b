"""Names of stages are hashes of their inputs. They are pinned here: renaming a key must not train anything again.

The literals were computed with the keys of the first release. A change of one means that finished stages of users are
not found any more; change it only together with what a stage computes.
"""

from dataclasses import asdict

import numpy as np
import pytest

from recbole_llmfashion.config.configurator import learning_keys, load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.model.recformer.settings import pretrain_settings, stage_settings
from recbole_llmfashion.model.recformer.stages import RecformerPipeline
from recbole_llmfashion.pipeline import save, settings
from recbole_llmfashion.pipeline.pipeline import make_pipeline
from recbole_llmfashion.pipeline.training import TrainedModels
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.retrieval.ranking import RankingSettings
from recbole_llmfashion.stage_store import StageStore, sha256
from recbole_llmfashion.study.request import StudyRequest
from recbole_llmfashion.study.runner import Entry, Runner
from recbole_llmfashion.trainer.recbole_models import train_or_load
from tests.helpers.fakes import INTER, SEARCH, write_tiny

MODELS = ["LLMFashionRec", "Recformer", "CORE", "SASRec"]
# the default before the one of docs/results/recipe.md, whose adapters keep their names
FIRST_RECIPE = {
    "loss_on_title": True,
    "llm_dropout": None,
    "llm_learning_rate": 2e-3,
    "llm_epochs": 6,
    "curriculum_epochs": 8,
}
CHANGED = {  # by the names of the first release: clip_epochs, title_hidden_size, title_learning_rate, recformer_...
    "clip": {"epochs": 5},
    "title_model": {"hidden": 32, "learning_rate": 0.01},
    "recformer": {"vocab_size": 300, "warmup_steps": 7, "stage2_patience": 2},
}


class Named(Exception):
    """Raised instead of building a stage."""


class NamesOnly(StageStore):
    """Knows the name that a stage would have and builds none."""

    def get(self, name, inputs, build):
        raise Named(self.path(name, inputs).name)


def name_of(build):
    with pytest.raises(Named) as error:
        build()
    return str(error.value)


def config_of(root, model, **keys):
    paths = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    return load_config(get_model(model).model, "tiny", (), {**paths, **keys}, MODELS)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("names")
    users = range(4, 8)
    buys = "".join(f"u{u}\t{11 + (u + i) % 6}\tpurchase\t{1701000000 + 100 * i}\n" for u in users for i in range(5))
    searches = "".join(f"u{u}\t{1701000050 + 100 * i}\t{['red', 'blue'][u % 2]} {i}\t\n" for u in users for i in (0, 1))
    write_tiny(root, INTER + buys, SEARCH + searches)
    return root


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (
            {},
            [
                "clip-a88e81a74367cf9a",
                "title-cd77f61e7a983759",
                "recformer_tokenizer-d50b00e0fc110198",
                "train_CORE-86564f2e104b4cc2",
                "train_SASRec-576fb5fada287980",
            ],
        ),
        (
            CHANGED,
            [
                "clip-633a4879c676e492",
                "title-adb1faabafd9c14c",
                "recformer_tokenizer-bc280b9489cecf95",
                "train_CORE-86564f2e104b4cc2",
                "train_SASRec-576fb5fada287980",
            ],
        ),
    ],
    ids=["defaults", "changed"],
)
def test_stages_of_a_tiny_job(shop, keys, names):
    store = NamesOnly(shop / "stages")
    ours, recformer = config_of(shop, "LLMFashionRec", **keys), config_of(shop, "Recformer", **keys)
    loaders = make_loaders(ours)
    models = TrainedModels(ours, DatasetTexts(loaders.dataset), store)
    made = [name_of(lambda: models.clip), name_of(lambda: models.title_model)]
    reader = get_model("Recformer").model(recformer, loaders.train._dataset)
    made.append(name_of(lambda: RecformerPipeline(recformer, loaders, store, reader).vocabulary))
    for name in ("CORE", "SASRec"):
        config = config_of(shop, name, **keys)
        made.append(name_of(lambda config=config: train_or_load(config, make_loaders(config), store)))
    assert made == names


@pytest.mark.parametrize(
    ("keys", "digests"),
    [
        (
            {},
            [
                "7aaf5daac21f",
                "bd0eae8984f2",
                "cea2a10a7679",
                "310c833ab434",
                "5a5c1dec5671",
                "52e8f88a6bee",
                "67ab21017733",
                "e74fa180a407",
            ],
        ),
        (
            CHANGED,
            [
                "a3b4f905aee0",
                "ebf6000210be",
                "cea2a10a7679",
                "310c833ab434",
                "87303e8b9646",
                "4a968c844cf8",
                "9b4627b4e6e8",
                "e74fa180a407",
            ],
        ),
    ],
    ids=["defaults", "changed"],
)
def test_settings_that_stages_are_named_after(shop, keys, digests):
    ours = config_of(shop, "LLMFashionRec", **FIRST_RECIPE, **keys)
    recformer = config_of(shop, "Recformer", **keys)
    inputs = [
        asdict(settings.clip_settings(ours, 1)),
        settings.title_settings(ours, 1).stage_inputs(),
        settings.decoding_settings(ours, 1).stage_inputs(),
        settings.finetune_settings(ours, 1, [Example(np.array([5, 6, 7]), np.array([8, 9]))]).stage_inputs(),
        asdict(pretrain_settings(recformer, 1)),
        stage_settings(recformer, 1, 1).stage_inputs(),
        stage_settings(recformer, 2, 1).stage_inputs(),
        learning_keys(config_of(shop, "CORE", **keys)),
    ]
    assert [sha256(value)[:12] for value in inputs] == digests


@pytest.mark.parametrize(
    ("keys", "digests"),
    [
        ({}, ["fa2415e7b9ab", "ac3115073133", "73502675132b", "5f491e61df00", "da261245b98b", "bca299244102"]),
        (CHANGED, ["8055e190d45f", "ac3115073133", "791ad7ce194d", "1101d9813f7e", "da261245b98b", "bca299244102"]),
    ],
    ids=["defaults", "changed"],
)
def test_keys_that_rows_of_a_study_are_named_after(shop, keys, digests):
    request = StudyRequest("compare", "tiny", ("LLMFashionRec",), 1, shop, (), {}, {"data_path": str(shop), **keys}, "")
    runner = Runner(request)
    models = ("LLMFashionRec", "CORE", "Recformer", "RecformerQuery", "QueryMemory", "Popularity")
    assert [sha256(runner._key_values(Entry("", name, {}, "tiny"), 2020))[:12] for name in models] == digests


@pytest.fixture
def llm(tmp_path):
    """The pipeline of a shop without a memory, by the shipped backbone, and its dataloaders."""
    write_tiny(tmp_path)
    small = {
        **FIRST_RECIPE,
        "session_model": "CORE",
        "lora_r": 4,
        "llm_epochs": 1,
        "curriculum_epochs": 2,
        "num_beams": 20,
        "max_length": 200,
    }
    config = config_of(tmp_path, "LLMFashionRec", llm_name_or_path="tiny-falcon", **small)
    loaders = make_loaders(config)
    pipeline = make_pipeline(config, loaders.dataset, NamesOnly(tmp_path / "stages"), lambda: pytest.fail("CORE"), 10)
    rows = {
        name: LLMFashionRecDataLoader(config, one._dataset, one._sampler, training=name == "train")
        for name in ("train", "valid", "test")
        for one in [getattr(loaders, name)]
    }
    return pipeline, rows


def test_stages_of_the_llm(llm):
    """The digest of the backbone covers every byte of its files."""
    pipeline, rows = llm
    steps = pipeline.train(rows["train"], rows["valid"])
    assert next(steps) == "backbone"
    assert name_of(lambda: next(steps)) == "adapter-ab1a8e0ae99aa553"
    pipeline.trained.llm.identity = "adapter-ab1a8e0ae99aa553"
    names = [name_of(lambda part=part: pipeline.answer(rows[part])) for part in ("valid", "test")]
    assert names == ["responses-11109435e99c6fee", "responses-81a54b059d5ebe77"]


def test_settings_that_a_run_folder_is_named_after(llm):
    """A run folder is named after its manifest.json. These are the entries of the first release, by its names."""
    pipeline, _ = llm
    inference = pipeline.inference
    adapter = pipeline.trained.store.root / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "stage.json").write_text(f'{{"inputs": {{"index": ["{inference.item_tokens.key}", ""]}}}}')
    pipeline.trained.llm._adapter = adapter
    equal = dict.fromkeys(("beams", "id", "title", "session", "memory"), 1.0)
    ranking = RankingSettings("fusion", 1, 10, 1, True, {"known": equal, "new": equal})
    assert save._settings(pipeline, ranking) == {
        "template": "compact",
        "prompt": {
            "attributes": ("category", "brand", "color", "size"),
            "max_length": 200,
            "max_new_tokens": 40,
            "dates": True,
            "recalled": 5,
            "item_text": False,
        },
        "items": {
            "kind": "atomic",
            "first": 4096,
            "new_tokens": 6,
            "key": "483a0032c494d41b8f5ff2f672f73b58f61c880c0b2c71cd820485d7c58c75c9",
            "trained": True,
        },
        "memory": {"neighbors": 3, "products": 5, "depth": 50},
        "backbone": {"quantization": "nf4", "compute_dtype": "auto"},
        "decoding": {
            "decoding": "constrained",
            "max_new_tokens": 40,
            "temperature": 0.05,
            "top_p": 0.95,
            "batch_size": 64,
            "seed": 1306385187,
            "title_source": "lookup",
        },
        "beams": 20,
        "mixing": {
            "ranking": "fusion",
            "m": 1,
            "k": 10,
            "title_start": 1,
            "use_memory": True,
            "weights": {"known": equal, "new": equal},
        },
        "neighbors": {"history": 10},
    }
