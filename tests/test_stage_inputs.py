"""A table of changes: which stages have another name after each. Whatever a stage reads counts, and nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.llm.modeling import backbone
from recbole_llmfashion.model.recformer.stages import RecformerPipeline
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.pipeline.pipeline import make_pipeline
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.stage_store import StageStore
from recbole_llmfashion.trainer.recbole_models import train_or_load
from tests.helpers.fakes import INTER, SEARCH, SMALL, write_tiny

# with searches that have no results, so that there is no memory and no text tower has to be trained for a prompt
SEARCHES = "".join(f"{line[: line.rindex(chr(9))]}\t\n" for line in SEARCH.splitlines()[1:])
CLICKED = "".join(f"u{u}\t{11 + (u + i) % 6}\tpurchase\t{1701000000 + 100 * i}\n" for u in (4, 5) for i in range(5))
ALL = {"title", "train_CORE", "adapter", "responses", "untuned", "recformer_pretrain", "untrained"}


class Named(Exception):
    pass


class NamesOnly(StageStore):
    """Knows the name that a stage would have; builds the tokenizer of Recformer and nothing else."""

    def get(self, name, inputs, build):
        if name == "recformer_tokenizer":
            return super().get(name, inputs, build)
        raise Named(self.path(name, inputs).name)


def name_of(build):
    with pytest.raises(Named) as error:
        build()
    return str(error.value)


def config_of(root, model, folder, **keys):
    paths = {"data_path": str(root), "checkpoint_dir": str(root / "saved"), "topk": [3], "valid_metric": "NDCG@3"}
    small = {**SMALL, "llm_name_or_path": str(folder), "memory_products": 0}
    recformer = {"recformer.width": 8, "recformer.layers": 1, "recformer.vocab_size": 300}
    known = {"LLMFashionRec": small, "Recformer": recformer, "CORE": {}}[model] | paths
    own = {key: value for key, value in keys.items() if ("recformer" in key) == (model == "Recformer")}
    return load_config(get_model(model).model, "tiny", (), known | (own if model != "CORE" else {}))


def names(root, folder, **keys):
    """The names of the stages of a run on root/tiny with the backbone in `folder`."""
    config = config_of(root, "LLMFashionRec", folder, **keys)
    loaders, store = make_loaders(config), NamesOnly(root / "stages")
    pipeline = make_pipeline(config, loaders.dataset, store, lambda: pytest.fail("CORE"))
    train, test = (
        LLMFashionRecDataLoader(config, part._dataset, part._sampler, training=part is loaders.train)
        for part in (loaders.train, loaders.test)
    )
    found = {"title": name_of(lambda: pipeline.trained.title_model)}
    steps, llm = pipeline.train(train, None), pipeline.trained.llm
    next(steps)
    found["untuned"] = name_of(lambda: pipeline.answer(test))
    found["adapter"] = name_of(lambda: next(steps))
    llm.identity = found["adapter"]
    pipeline.inference.reset_cache()
    found["responses"] = name_of(lambda: pipeline.answer(test))
    core = config_of(root, "CORE", folder)
    found["train_CORE"] = name_of(lambda: train_or_load(core, make_loaders(core), store))
    recformer = config_of(root, "Recformer", folder, **keys)
    reader = get_model("Recformer").model(recformer, loaders.train._dataset)
    stages = RecformerPipeline(recformer, loaders, store, reader)
    stages.prepare()
    found["recformer_pretrain"] = name_of(stages.pretrain)
    untrained = load_config(
        get_model("LLMFashionRec").model,
        "tiny",
        (),
        {"data_path": str(root), "llm_name_or_path": "tiny-falcon-untrained"},
    )
    found["untrained"] = name_of(lambda: LanguageModel(untrained, store))
    return found


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A shop, a backbone, and the names of its stages."""
    root = tmp_path_factory.mktemp("inputs")
    write_tiny(root, INTER + CLICKED, SEARCH.splitlines()[0] + "\n" + SEARCHES)
    shutil.copytree(SMALL["llm_name_or_path"], root / "falcon")
    return root, names(root, root / "falcon")


@pytest.fixture
def copy(before, tmp_path):
    shutil.copytree(before[0] / "tiny", tmp_path / "tiny")
    shutil.copytree(before[0] / "falcon", tmp_path / "falcon")
    return tmp_path


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


LLM = {"adapter", "responses", "untuned"}
TEXT = {"recformer_pretrain"} | LLM
ROWS = {"train_CORE", "recformer_pretrain"} | LLM
CHANGES = {  # a change of the copy, and the stages that have another name after it
    "nothing but place and time": (lambda at: [os.utime(path, (9, 9)) for path in at.rglob("*.*")], set()),
    "last byte of the weights": (lambda at: flip(at / "falcon/model.safetensors", -1), LLM),
    "byte behind the first 100 KB": (lambda at: flip(at / "falcon/model.safetensors", 100_000), LLM),
    "white space of the tokenizer": (lambda at: (at / "falcon/tokenizer.json").open("a").write("\n"), LLM),
    "generation config": (lambda at: (at / "falcon/generation_config.json").open("a").write("\n"), LLM),
    "a card": (lambda at: (at / "falcon/README.md").write_text("x"), set()),
    "pickled weights": (lambda at: (at / "falcon/pytorch_model.bin").write_text("x"), set()),
    "a title": (lambda at: swap(at / "tiny/tiny.item", "Plain Socks", "Plain Sock"), {"title"} | TEXT),
    "an item's token": (lambda at: [swap(at / f"tiny/tiny.{name}", "15\t", "95\t") for name in ("inter", "item")], LLM),
    "a training purchase": (lambda at: swap(at / "tiny/tiny.inter", "u5\t16\tpurchase", "u5\t15\tpurchase"), ROWS),
    "a training query": (lambda at: swap(at / "tiny/tiny.search", "red boots", "red boot"), TEXT),
    "a test target": (lambda at: swap(at / "tiny/tiny.inter", "u5\t14\tpurchase", "u5\t12\tpurchase"), set()),
}  # fmt: skip
KEYS = {
    "quantization": ({"quantization": "none"}, LLM),
    "compute_dtype": ({"compute_dtype": "fp32"}, LLM),
    "lora_alpha": ({"lora_alpha": 3}, {"adapter", "responses"}),
    "num_beams": ({"num_beams": 3}, {"responses", "untuned"}),
    "temperature": ({"temperature": 0.5}, {"responses", "untuned"}),
    "title_model": ({"title_model.epochs": 2}, {"title"}),
    "heads of equal weights": ({"recformer.heads": 2}, {"recformer_pretrain"}),
    "folders and output": ({"show_progress": True, "state": "ERROR"}, set()),
}


def changed(before, after):
    assert before.keys() == after.keys() == ALL
    return {stage for stage in before if before[stage] != after[stage]}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_of_a_file(before, copy, case):
    change, stages = CHANGES[case]
    change(copy)
    assert changed(before[1], names(copy, copy / "falcon")) == stages


@pytest.mark.parametrize("case", KEYS)
def test_a_change_of_a_key(before, case):
    keys, stages = KEYS[case]
    assert changed(before[1], names(before[0], before[0] / "falcon", **keys)) == stages


def test_the_untrained_backbone_is_named_by_the_files_it_is_made_of(before, tmp_path, monkeypatch):
    root, names_before = before
    shutil.copytree(backbone.Path(backbone.__file__).parent / "tiny_falcon", tmp_path / "tiny_falcon")
    monkeypatch.setattr("recbole_llmfashion.pipeline.language_model.TINY_FALCON_FOLDER", tmp_path / "tiny_falcon")
    config = load_config(
        get_model("LLMFashionRec").model,
        "tiny",
        (),
        {"data_path": str(root), "llm_name_or_path": "tiny-falcon-untrained"},
    )
    name = lambda: name_of(lambda: LanguageModel(config, NamesOnly(root / "stages")))  # noqa: E731
    flip(tmp_path / "tiny_falcon/model.safetensors", -1)
    assert name() == names_before["untrained"]
    (tmp_path / "tiny_falcon/item_rows.json").write_text(json.dumps({"norm": 1.0}))
    assert name() != names_before["untrained"]
