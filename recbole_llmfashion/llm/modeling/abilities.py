"""What a backbone can do, known from its config and its layers without weights, before anything trains."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.adapter import TargetModules, resolve_targets
from recbole_llmfashion.llm.modeling.backbone import (
    Backbone,
    Quantization,
    check_files,
    check_match,
    dropouts,
    load_config,
    load_tokenizer,
)
from recbole_llmfashion.llm.modeling.quantization import check_quantizable, plain_falcon_linear


@dataclass(frozen=True)
class Needs:
    """What a run needs of its backbone.

    Args:
        max_length: tokens of prompt and response together.
        quantization: nf4 or none.
        tree_beams: whether beams branch within an item's ID, which is so for IDs of several tokens.
        lora_target_modules: see resolve_targets.
        dropout: of its own layers in training; None for that of its config.
        cuda_graphs: whether CUDA graphs repeat its steps.
    """

    max_length: int
    quantization: Quantization
    tree_beams: bool
    lora_target_modules: TargetModules
    dropout: float | None = None
    cuda_graphs: bool = False


def has_full_attention(config: Any) -> bool:
    """Whether every layer sees every earlier token, without a sliding window or a state."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


def takes_explicit_positions(config: Any, forward: Callable[..., Any]) -> bool:
    """Whether positions and masks can be given explicitly, as beams over IDs of several tokens and CUDA graphs need.

    ALiBi counts positions from the mask itself, so a token cannot be given another place.

    Args:
        config: of a causal LM whose attention implementation is set.
        forward: of its class.
    """
    masked = getattr(config, "_attn_implementation", "") in ("sdpa", "eager")
    takes = "position_ids" in inspect.signature(forward).parameters
    return has_full_attention(config) and takes and masked and not getattr(config, "alibi", False)


def cache_argument(forward: Callable[..., Any]) -> str:
    """The argument of a forward that takes the cache of keys and values: transformers 5.24 renamed it; "" without one.

    >>> cache_argument(lambda input_ids, past_key_values: ...), cache_argument(lambda input_ids, cache: ...)
    ('past_key_values', 'cache')
    """
    takes = inspect.signature(forward).parameters
    return next((name for name in ("cache", "past_key_values") if name in takes), "")


def most_tokens(config: Any) -> int | None:
    """The positions that a model has embeddings for; None where its config names no number."""
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) else None


def check_backbone(name_or_path: str, needs: Needs) -> None:
    """Checks a backbone against what a run needs; reads its tokenizer and config, and none of its weights.

    Args:
        name_or_path: a hub name or a folder.
        needs: of the run.

    Raises:
        UserError: the backbone lacks something; names it and the key to set.
    """
    check_files(name_or_path)
    tokenizer = load_tokenizer(name_or_path)
    config = load_config(name_or_path)
    _check_config(name_or_path, config, needs)
    skeleton = _skeleton(config, needs.quantization == "nf4")
    if skeleton is None:
        return
    check_match(skeleton, tokenizer, name_or_path)
    if needs.quantization == "nf4":
        check_quantizable(skeleton, name_or_path)
    if not takes_explicit_positions(skeleton.config, skeleton.forward):
        lacks = f"{name_or_path} ({config.model_type}) has no rotary or learned positions with full attention, which"
        if needs.tree_beams:
            raise UserError(
                f"num_beams: {lacks} beams over item IDs of several tokens need; set num_beams: 0 or item_tokens: "
                "atomic, or name another backbone"
            )
        if needs.cuda_graphs:
            raise UserError(f"cuda_graphs: {lacks} they need; set cuda_graphs: False or name another backbone")
    resolve_targets(Backbone(skeleton, tokenizer, name_or_path, 0), needs.lora_target_modules)


def _check_config(name: str, config: Any, needs: Needs) -> None:
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING or getattr(config, "is_encoder_decoder", False):
        raise UserError(
            f"llm_name_or_path: {name} ({config.model_type}) is no decoder that predicts the next token; name a "
            "causal language model"
        )
    text = config.get_text_config()
    # a model without attention heads, such as Mamba, may have a state of that name
    heads = getattr(text, "num_attention_heads", None)
    if not heads or not cache_argument(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].forward):
        raise UserError(
            f"llm_name_or_path: {name} ({config.model_type}) has no cache of keys and values, which generation needs; "
            "name a model with attention"
        )
    quantized = getattr(config, "quantization_config", None)
    if quantized:
        method = dict(quantized if isinstance(quantized, dict) else quantized.to_dict()).get("quant_method", "unknown")
        raise UserError(
            f"llm_name_or_path: {name} is quantized already ({getattr(method, 'value', method)}); name the model "
            f"that it was made from, which quantization: nf4 quantizes"
        )
    if needs.dropout is not None:
        dropouts(config, name, needs.dropout)
    limit, alibi = most_tokens(config), getattr(text, "alibi", False)
    if limit is not None and limit < needs.max_length and not alibi:
        raise UserError(
            f"max_length: {needs.max_length} is more than the {limit} positions of {name}; set max_length: {limit} or "
            "less, or name another backbone"
        )


def _skeleton(config: Any, quantized: bool) -> Any:
    """The model without weights; None for an architecture that cannot be built so."""
    try:
        with torch.device("meta"), plain_falcon_linear() if quantized else nullcontext():
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (RuntimeError, NotImplementedError, ValueError, ImportError):  # what it lacks shows when it is loaded
        return None
