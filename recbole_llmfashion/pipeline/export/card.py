"""README.md of an exported run: a model card with the metadata that the Hugging Face hub reads.

Everything in it comes from the manifest, so a card names no path of the machine that made it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from recbole_llmfashion.config.keys import todays_names, todays_values
from recbole_llmfashion.evaluation.markdown import markdown_table

CARD = "README.md"
TAGS = ["recommendation", "sequential-recommendation", "recbole", "llmfashionrec", "peft", "lora"]
_TASK = "sequential-recommendation"
_LICENCE_ID = re.compile(r"[a-z0-9][a-z0-9.+-]*", re.I)
_PAGE = re.compile(r"see (https://\S+)")  # the licence of a hub's model, see save.licence
_USE = """\
```python
from recbole_llmfashion import Recommender

recommender = Recommender.from_pretrained("DIR")
session = [{"action": "search", "query": "red winter boots", "timestamp": 1700000000}]
for line in recommender.recommend(session, k=10):
    print(line.item, line.title)
```

`DIR` is this folder or the name of its repository on the hub. Loading compares every file with its SHA-256 in
manifest.json; this card alone may be edited. `recbole-llmfashion recommend --run DIR` does the same on the command
line."""
_COUNTED = {
    "recall": "recall@k: the share of test rows whose target is among the first k items.",
    "ndcg": "ndcg@k: the mean of 1 / log2(rank + 1), and 0 where the target is not among the first k items.",
    "mrr": "mrr@k: the mean of 1 / rank, and 0 where the target is not among the first k items.",
    "mrr ": "mrr: the mean of 1 / rank without a cut-off.",
}
_IMAGES = "image"  # IMAGE of retrieval.ranking, a module that loads torch
_RULES = ("---", "---:")
_PARTS = {"train": "training", "valid": "validation", "test": "test"}
_SPLITS = {
    "user": "the last purchase of each user is the test row, the purchase before it the validation row",
    "time": "two moments cut the log of all users into training, validation and test",
}


def model_card(content: Mapping[str, Any]) -> str:
    """The card of a run.

    Args:
        content: of the exported run's manifest.json.
    """
    sections = [
        f"---\n{_metadata(content)}\n---",
        f"# {content['model']} on {content['dataset']}",
        _what_it_is(content),
        f"## How to use it\n\n{_USE}\n\n{_language_model(content)}",
        f"## Evaluation\n\n{_evaluation(content)}",
        f"## What it does not know\n\n{_limits(content)}",
        f"## Licence\n\n{_licence(content)}",
        f"## Versions and keys\n\n{_made_with(content)}",
    ]
    return "\n\n".join(sections) + "\n"


def backbone_name(content: Mapping[str, Any]) -> str:
    """The backbone by its name of today: of the package, of the hub, or of a folder without its path."""
    return str(todays_values({"llm_name_or_path": content["backbone"]["name"]})["llm_name_or_path"])


def _metadata(content: Mapping[str, Any]) -> str:
    metrics, dataset = _metrics(content), str(content["dataset"])
    found = [
        EvalResult(
            task_type=_TASK,
            dataset_type=dataset,
            dataset_name=dataset,
            dataset_split="test",
            metric_type=name,
            metric_value=value,
        )
        for name, value in metrics.items()
    ]
    licence: Any = _licence_metadata(str(content["backbone"]["licence"]))
    data = ModelCardData(
        model_name=f"{content['model']} on {dataset}",
        base_model=backbone_name(content),
        datasets=[dataset],
        metrics=sorted({name.partition("@")[0] for name in metrics}),
        eval_results=found or None,
        library_name="recbole_llmfashion",
        tags=TAGS,
        **licence,
    )
    return data.to_yaml().strip()


def _licence_metadata(licence: str) -> dict[str, str]:
    """The hub's entries for a licence; a text that is no identifier is `other` or `unknown`."""
    word, page = licence.partition(",")[0], _PAGE.fullmatch(licence)
    if page is not None:
        return {"license": "other", "license_name": "licence-of-the-base-model", "license_link": page[1]}
    return {"license": word.lower() if _LICENCE_ID.fullmatch(word) else "unknown"}


def _metrics(content: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in content["metrics"].items() if value is not None}


def _what_it_is(content: Mapping[str, Any]) -> str:
    settings, data = content["settings"], content.get("data", {})
    items = f"{_number(data['items'])} items" if "items" in data else "its items"
    return (
        "A recommender for a shop: from the searches, clicks and purchases of one customer to a ranked list of "
        f'{items} of the dataset `{content["dataset"]}`. It follows Liu et al., "Sequential LLM Framework for '
        'Fashion Recommendation" (EMNLP 2024 Industry, arXiv 2410.11327): the actions become a prompt, the backbone '
        f"`{backbone_name(content)}` with the LoRA adapter of this folder answers, and lists made of the answer and "
        f"of the log are ranked by `{settings['mixing']['ranking']}`. Items are named to the LLM by item tokens of the "
        f"kind `{settings['items']['kind']}`."
    )


def _language_model(content: Mapping[str, Any]) -> str:
    base, revision = backbone_name(content), content["backbone"].get("revision")
    here = "backbone" in content["parts"]
    source = '"DIR/backbone"' if here else f"{json.dumps(base)}, revision={json.dumps(revision)}"
    tokens = content["settings"]["items"]["kind"] != "text"
    lines = [
        "from peft import PeftModel",
        f"from transformers import {'AutoConfig, ' if tokens else ''}AutoModelForCausalLM, AutoTokenizer",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("DIR")',
        f"model = AutoModelForCausalLM.from_pretrained({source})",
        *(['model.resize_token_embeddings(AutoConfig.from_pretrained("DIR").vocab_size)'] if tokens else []),
        'model = PeftModel.from_pretrained(model, "DIR")',
    ]
    about = "The LLM alone, as peft loads it; `DIR` is this folder on the disk."
    if tokens:
        about += (
            " The embeddings of the items' tokens are in the adapter; their ids are the tensor `tokens` of "
            "run/vectors.safetensors, a row per row of run/catalogue.parquet."
        )
    if content["settings"]["backbone"]["quantization"] == "nf4":
        about += " `Recommender` also quantizes the backbone to NF4, as in training."
    return "\n".join([about, "", "```python", *lines, "```"])


def _evaluation(content: Mapping[str, Any]) -> str:
    data, metrics = content.get("data", {}), _metrics(content)
    masked = "left out of" if content["settings"]["mask_history"] else "kept in"
    split = _SPLITS.get(str(data.get("split_by")))
    kinds = {name.partition("@")[0] if "@" in name else f"{name} " for name in metrics}
    lines = [
        *markdown_table(["metric", "test"], [[name, f"{value:.4f}"] for name, value in metrics.items()], _RULES),
        "",
        *([f"- Split: {split}."] if split else []),
        *([f"- Rows: {_rows(data)}."] if data else []),
        "- The target of a test row is ranked among all items, not among a sample. Items of the user's history are "
        f"{masked} the lists.",
        *(f"- {text}" for kind, text in _COUNTED.items() if kind in kinds),
        f"- One run with seed {content['seed']}: the figures have no confidence interval.",
        *([f"- SHA-256 of the data (.inter, .search, .item): `{data['sha256']}`."] if "sha256" in data else []),
    ]
    return "\n".join(lines)


def _rows(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{_number(data[name])} for {part}" for name, part in _PARTS.items() if name in data)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _limits(content: Mapping[str, Any]) -> str:
    memory = content.get("memory", {})
    least = memory.get("min_askers", 1)
    lines = [
        "- Users: no id, no history and no time of a user is in this folder. A session that is sent to it is all that "
        "it knows of a customer.",
        "- Anything after the training log: seasons, prices, stock. Items can be added and removed without training; "
        f"{_of_new_items(content)}.",
        _reads(content),
        f"- Shops other than `{content['dataset']}`: the figures hold for that dataset and its split.",
    ]
    if least > 1:
        lines.append(
            f"- Queries that fewer than {least} users searched for ({_number(memory.get('left_out', 0))} of "
            f"{_number(memory.get('left_out', 0) + memory['queries'])} were left out), and pairs of items that fewer "
            "users took. The figures were measured with what the run itself knows, so lists may differ from them."
        )
    elif memory:
        lines.append(
            f"- It does know queries that one user alone searched for ({_number(memory['queries'])} queries in all): "
            "whoever types such a query gets the products of that one search."
        )
    return "\n".join(lines)


def _of_new_items(content: Mapping[str, Any]) -> str:
    texts = "a new item has no popularity, and its vectors are those of its own title"
    if content.get("keys", {}).get("source_dataset"):  # zero-shot: no ID model has seen the items
        return texts
    name = content["settings"].get("session_model", {}).get("name", "CORE")
    return f"{texts}, but for its row of the ID model {name}, which is that of the nearest title"


def _reads(content: Mapping[str, Any]) -> str:
    attributes = ", ".join(content["settings"]["prompt"]["attributes"])
    if any(_IMAGES in weights for weights in content["settings"]["mixing"].get("weights", {}).values()):
        texts = f"titles, the attributes {attributes}" if attributes else "titles"
        return f"- Other texts of items: it reads {texts} and vectors of pictures, which a new item lacks."
    texts = f"titles and the attributes {attributes}" if attributes else "titles alone"
    return f"- Pictures and other texts of items: it reads {texts}."


def _licence(content: Mapping[str, Any]) -> str:
    where = "in the folder `backbone`" if "backbone" in content["parts"] else "not in this folder, but downloaded"
    return (
        f"Backbone (`{backbone_name(content)}`, {where}): {content['backbone']['licence']}. The catalogue, the queries "
        f"and the adapter are made from the dataset `{content['dataset']}`, whose terms hold as well."
    )


def _made_with(content: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    keys = json.dumps(todays_names(content.get("keys", {})), indent=1, ensure_ascii=False)
    return f"Made with {versions}. Keys that were given to the run:\n\n```json\n{keys}\n```"
