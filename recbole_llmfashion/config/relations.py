"""What the keys of a model must have in common. Imports neither RecBole nor torch."""

from collections.abc import Mapping
from typing import Any

from recbole_llmfashion.errors import UserError

FLOAT_BYTES = 4


def check_relations(values: Mapping[str, Any], model: str) -> None:
    """Checks keys whose values are fine by themselves, for one model.

    Args:
        values: every key of the model, with fields of dict keys, after check_values.
        model: its name.

    Raises:
        UserError: a value that does not fit another one; names both keys.
    """
    _check_heads(values, model)
    _check_batch_memory(values, model)
    _check_order(values)
    _check_eval_step(values)
    _check_room(values)
    _check_item_embeddings(values)
    _check_cuda_graphs(values)
    _check_vllm(values)
    _check_beams(values)


def _check_item_embeddings(values: Mapping[str, Any]) -> None:
    """Neighbors are of items, so an item must be one token."""
    if values.get("item_embedding_init") == "neighbors" and values["item_tokens"] != "atomic":
        raise UserError(
            f"item_embedding_init: neighbors needs item_tokens: atomic, found item_tokens: {values['item_tokens']}; "
            "change one of them"
        )


def _check_cuda_graphs(values: Mapping[str, Any]) -> None:
    """A recorded step is neither compiled, nor does it look up random numbers to compute activations again."""
    for key in ("torch_compile", "gradient_checkpointing"):
        if values.get("cuda_graphs") and values[key] is True:
            raise UserError(f"cuda_graphs: True needs {key}: False, found {key}: True; change one of them")


def _check_vllm(values: Mapping[str, Any]) -> None:
    """vLLM answers with text alone: it has no item tokens, which all would read as "", no beams and no catalogue."""
    if values.get("generation_backend") != "vllm":
        return
    for key, needed in (("item_tokens", "text"), ("num_beams", 0), ("response_title", "generated")):
        if values[key] != needed:
            raise UserError(
                f"generation_backend: vllm needs {key}: {needed}, found {key}: {values[key]}; change it, or set "
                "generation_backend: transformers"
            )


def _check_beams(values: Mapping[str, Any]) -> None:
    """A ranking by the likeliest items needs some; without any it would be the title list under another name."""
    if values.get("ranking") != "beams":
        return
    for key, needed in (("generation_backend", "transformers"), ("decoding", "constrained")):
        if values[key] != needed:
            raise UserError(f"ranking: beams needs {key}: {needed}, found {key}: {values[key]}; change one of them")
    if not values["num_beams"]:
        raise UserError("ranking: beams needs num_beams: 1 or more, found num_beams: 0; change one of them")


def _check_heads(values: Mapping[str, Any], model: str) -> None:
    """Attention divides the hidden size among the heads."""
    name = "embedding_size" if model == "CORE" else "hidden_size"
    pairs = [(name, values.get(name), "n_heads", values.get("n_heads"))]
    if "recformer" in values:
        own = values["recformer"]
        pairs.append(("recformer.width", own["width"], "recformer.heads", own["heads"]))
    for size_name, size, heads_name, heads in pairs:
        if size is not None and heads is not None and size % heads:
            raise UserError(f"{heads_name}: {heads} heads do not divide {size_name} {size}; change one of them")


def _check_batch_memory(values: Mapping[str, Any], model: str) -> None:
    """One batch of histories must fit into memory; the estimate leaves out every other tensor.

    A model without attention holds [B, L, d] hidden states, one with attention [B, heads, L, L] weights as well.
    """
    rows, length = values.get("train_batch_size"), values.get("MAX_ITEM_LIST_LENGTH")
    size = values.get("hidden_size") or values.get("embedding_size")
    if rows is None or length is None or size is None:
        return
    import psutil

    need = FLOAT_BYTES * rows * length * (size + values.get("n_heads", 0) * length)
    have = psutil.virtual_memory().total
    if need > have:
        raise UserError(
            f"MAX_ITEM_LIST_LENGTH: {length} needs at least {_gigabytes(need)} for one batch of {model} with "
            f"train_batch_size {rows}, and this machine has {_gigabytes(have)}; lower one of them"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:,.0f} GiB"


def _check_order(values: Mapping[str, Any]) -> None:
    """Bounds that must be in order."""
    if "time_split" in values and not values["time_split"][0] < values["time_split"][1]:
        raise UserError(
            f"time_split: expected two shares, 0 < first < second < 1, found {values['time_split']}; sort them"
        )
    if values.get("high_order", 0) > values.get("MAX_ITEM_LIST_LENGTH", 0):
        raise UserError(
            f"high_order: expected at most MAX_ITEM_LIST_LENGTH ({values['MAX_ITEM_LIST_LENGTH']}), "
            f"found {values['high_order']}"
        )


def _check_eval_step(values: Mapping[str, Any]) -> None:
    """RecBole keeps the weights of the best evaluated epoch, so some epoch must be evaluated."""
    epochs, step = values.get("epochs", 0), values.get("eval_step", 1)
    if 1 <= epochs < step:
        raise UserError(f"eval_step: expected at most epochs ({epochs}), so that an epoch is evaluated, found {step}")


def _check_room(values: Mapping[str, Any]) -> None:
    """A prompt needs room beside its response, and each worker needs a part of each batch."""
    if "max_length" in values and values["max_new_tokens"] >= values["max_length"]:
        raise UserError(
            f"max_new_tokens: expected less than max_length ({values['max_length']}), which also holds the prompt, "
            f"found {values['max_new_tokens']}"
        )
    if "num_train_workers" in values and values["num_train_workers"] > values["llm_batch_size"]:
        raise UserError(
            f"num_train_workers: expected 1 to llm_batch_size ({values['llm_batch_size']}), since workers share each "
            f"batch, found {values['num_train_workers']}"
        )
