"""The rows of benchmarks/smollm2.py: the keys of each, and what it reports."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smollm2_data import SEED

WITHOUT_LLM: dict[str, dict[str, Any]] = {"TextKNN": {"text_encoder": "minilm"}, "SeqKNN": {}, "Fusion": {}}
ROWS = ("ids", "random", "titles", "shuffled", "paper", "falcon", "zero", "default", *WITHOUT_LLM)
PAPER = str(Path(__file__).parents[1] / "properties/model/LLMFashionRec-paper.yaml")
LEARNING_RATE = 5e-4
SHUFFLED = "shuffled"
QUICK = {"epochs": 1, "title_model.epochs": 1}  # of models that `ranking: beams` does not need
CORE_EPOCHS = 20


def row_keys(row: str, options: argparse.Namespace, cuda: bool, models: Callable[[bool], Path]) -> dict[str, Any]:
    """The keys of a row.

    Args:
        row: one of ROWS that has an LLM.
        options: of the command line.
        cuda: whether a GPU is used, which takes larger batches of prompts without gradients.
        models: the model's folder, or with True that of random weights.
    """
    shared: dict[str, Any] = {"save_steps": 10, "show_progress": False, "seed": SEED}
    if row == "default":
        return shared
    if row == "falcon":
        return shared | ({} if options.ranking == "fusion" else QUICK | {"ranking": options.ranking})
    shared |= {
        "llm_name_or_path": str(models(row == "random")),
        "quantization": "none",
        "llm_learning_rate": LEARNING_RATE,
        "generation_batch_size": 256 if cuda else 64,
    }
    if row == "paper":
        small = {"clip_pretrained": None, "clip_model": "ViT-B-32", "epochs": CORE_EPOCHS, "train_batch_size": 1024}
        return shared | small | _batches(cuda) | {"gradient_checkpointing": False}
    texts: dict[str, Any] = {}
    if row in ("titles", SHUFFLED):
        texts = {"prompt_item_text": True, "max_length": 512} | _batches(cuda)
    passes = {"llm_epochs": options.epochs, "curriculum_epochs": options.epochs}
    zero = {"source_dataset": options.source.name} if row == "zero" else {}
    quick = {} if options.ranking == "fusion" else QUICK | {"ranking": options.ranking}
    return shared | texts | passes | zero | quick


def _batches(cuda: bool) -> dict[str, int]:
    """Steps of 16 prompts with text, which need 17 GB in one forward in bf16: in four on a CPU."""
    return {"llm_batch_size": 16 if cuda else 4, "gradient_accumulation_steps": 1 if cuda else 4}


def figures(result: Any) -> dict[str, Any]:
    """What a row reports, from the result of a run."""
    generation = result.details.get("generation", {})
    return {
        "recall@10": result.metrics["recall@10"],
        "ndcg@10": result.metrics["ndcg@10"],
        "valid_ndcg@10": result.valid.get("ndcg@10"),
        "perplexity": {step: one["median"] for step, one in generation.get("perplexity", {}).items()},
        "format_failures": generation.get("format_failures", {}),
        "valid_id_rate": generation.get("valid_id_rate"),
        "prompts": generation.get("prompts"),
        "lists": {name: one["ndcg@10"] for name, one in result.details.get("lists", {}).items()},
        "adapter_minutes": result.seconds.get("adapter", 0.0) / 60,
        "ranks": result.ranks.sort_values("user")["rank"].tolist(),
    }
