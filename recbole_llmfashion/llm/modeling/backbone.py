"""Loads a causal LM and its tokenizer from a hub or a local folder, in NF4 or as it is.

Knows nothing of prompts, adapters or training. Never runs code that comes with a model, never reads a pickle.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.quantization import (
    assert_quantized,
    full_precision_on_cpu,
    nf4_config,
    plain_falcon_linear,
)

Quantization = Literal["nf4", "none"]
ComputeDtype = Literal["auto", "bf16", "fp16", "fp32"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "sentencepiece.bpe.model")


@dataclass
class Backbone:
    """A loaded model.

    Args:
        model: the causal LM; a PeftModel around it once an adapter was added.
        tokenizer: fast, with eos and pad.
        name: hub name or folder.
        quantized_layers: NF4 layers; 0 where the model is not quantized.
        item_tokens: ids of items' tokens, the last of its vocabulary; empty before item_rows.add_items.
    """

    model: Any
    tokenizer: Any
    name: str
    quantized_layers: int
    item_tokens: range = range(0)

    @property
    def device(self) -> torch.device:
        """Where the first weights lie."""
        return next(self.model.parameters()).device


def pick_compute_dtype(name: ComputeDtype, device: torch.device) -> torch.dtype:
    """auto: bf16 where the card has it, fp16 on other CUDA cards, fp32 on a CPU (docs/method.md, stage 2)."""
    if name != "auto":
        if name not in DTYPES:
            raise UserError(f"compute_dtype: {name} is unknown; take one of auto, {', '.join(DTYPES)}")
        return DTYPES[name]
    if device.type != "cuda":
        return torch.float32
    # Emulated bf16 counts as supported by default, and is slower than fp16.
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _load_error(name: str, what: str, error: BaseException) -> UserError:
    if Path(name).is_dir():
        return UserError(
            f"llm_name_or_path: the {what} in {name} cannot be read ({_one_line(error)}); "
            "save it again with save_pretrained"
        )
    return UserError(
        f"llm_name_or_path: {name}: no {what} could be loaded ({_one_line(error)}); check the name and the network, "
        "set HF_HUB_OFFLINE=1 if the model is in the cache, or use a local folder or `tiny-falcon`"
    )


def _check_folder(name: str) -> bool:
    """Whether `name` is a local folder.

    Raises:
        UserError: it can only be a path and does not exist, or is a file.
    """
    path = Path(name)
    if path.is_dir():
        return True
    if path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or not name:
        raise UserError(f"llm_name_or_path: '{name}' is not a folder; name a folder, a hub model, or `tiny-falcon`")
    return False


def _check_files(name: str) -> None:
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise UserError(f"llm_name_or_path: {name} has no config.json; it must be a folder of save_pretrained")
    if not any(folder.glob("*.safetensors")):
        raise UserError(
            f"llm_name_or_path: {name} has no weights (*.safetensors); "
            "save the model again with save_pretrained, or copy the weights there"
        )


def load_tokenizer(name_or_path: str) -> Any:
    """A fast tokenizer with an eos; one without a pad token pads with the eos.

    Raises:
        UserError: it cannot be loaded, is slow, or has no eos.
    """
    local = _check_folder(name_or_path)
    if local and not any((Path(name_or_path) / file).is_file() for file in TOKENIZER_FILES):
        raise UserError(f"llm_name_or_path: {name_or_path} has no tokenizer; put the model's tokenizer.json there")
    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
    except Exception as error:  # hub, cache, config and file readers have no common error; tokenizers raises this one
        raise _load_error(name_or_path, "tokenizer", error) from error
    if not tokenizer.is_fast or tokenizer.eos_token_id is None:
        missing = "an end token" if tokenizer.is_fast else "a fast version"
        raise UserError(f"llm_name_or_path: the tokenizer of {name_or_path} lacks {missing}; name another backbone")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def check_spelling(tokenizer: Any, texts: Sequence[str], ids: Sequence[Sequence[int] | np.ndarray]) -> None:
    """Proves that a vocabulary can spell every item's ID.

    Args:
        tokenizer: of the backbone.
        texts: the IDs as prompts and responses show them.
        ids: of each, its token ids.

    Raises:
        UserError: an ID needs the unknown token, or does not come back when it is decoded; names the item.
    """
    unknown = tokenizer.unk_token_id
    spelled = tokenizer.batch_decode([list(row) for row in ids], clean_up_tokenization_spaces=False)
    for text, row, back in zip(texts, ids, spelled, strict=True):
        if (unknown is not None and unknown in row) or back.strip() != text:
            raise UserError(
                f"llm_name_or_path: its tokenizer cannot spell the item ID '{text}' (it reads '{back.strip()}'); "
                "name a backbone with byte-level tokens, or rename the item"
            )


def _check_match(model: Any, tokenizer: Any, name: str) -> None:
    """That model and tokenizer belong together.

    Raises:
        UserError: the tokenizer has ids that the model has no row for.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise UserError(
            f"llm_name_or_path: the tokenizer of {name} has ids up to {highest}, the model has {rows} rows; "
            "put the model's own tokenizer there"
        )
    end = model.config.eos_token_id
    if end is not None and tokenizer.eos_token_id not in (end if isinstance(end, list) else [end]):
        getLogger(__name__).warning(
            f"llm_name_or_path: {name}: the model ends with token {end}, its tokenizer with {tokenizer.eos_token_id}; "
            "responses are trained and read with the tokenizer's"
        )


def _load_model(name: str, quantized: bool, dtype: torch.dtype, device: torch.device) -> Any:
    extra = {"quantization_config": nf4_config(dtype)} if quantized else {}
    try:
        AutoConfig.from_pretrained(name, trust_remote_code=False)
        with plain_falcon_linear() if quantized else nullcontext():
            model, report = AutoModelForCausalLM.from_pretrained(
                name,
                dtype=dtype,
                device_map={"": device},
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **extra,
            )
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(f"llm_name_or_path: {name} does not fit on {device}; {_one_line(error)}") from error
    except Exception as error:  # see load_tokenizer
        raise _load_error(name, "model", error) from error
    if report["missing_keys"]:  # transformers would go on with random numbers in their place
        lost = sorted(report["missing_keys"])
        raise UserError(
            f"llm_name_or_path: {name} lacks {len(lost)} weights of its architecture ({lost[0]}, ..); get it again"
        )
    return model


def load_backbone(
    name_or_path: str,
    quantization: Quantization = "nf4",
    compute_dtype: ComputeDtype = "auto",
    device: torch.device | str | None = None,
) -> Backbone:
    """Loads any causal LM, quantized to NF4 with double quantization and proven to be (docs/method.md, stage 2).

    Args:
        name_or_path: a hub name or a folder of save_pretrained, weights in safetensors.
        quantization: nf4 or none.
        compute_dtype: type of activations and of what is not quantized.
        device: CUDA where there is one, else the CPU.

    Raises:
        UserError: no such model or folder, a part of it missing, no hub, a tokenizer of another model, or a layer that
            stayed unquantized.
    """
    if quantization not in ("nf4", "none"):
        raise UserError(f"quantization: {quantization} is unknown; take nf4 or none")
    target = torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
    if _check_folder(name_or_path):
        _check_files(name_or_path)
    tokenizer = load_tokenizer(name_or_path)
    dtype = pick_compute_dtype(compute_dtype, target)
    model = _load_model(name_or_path, quantization == "nf4", dtype, target)
    _check_match(model, tokenizer, name_or_path)
    layers = assert_quantized(model, name_or_path) if quantization == "nf4" else 0
    if target.type == "cpu":
        full_precision_on_cpu(model)
    return Backbone(model.eval(), tokenizer, name_or_path, layers)


def vocabulary_size(name_or_path: str, tokenizer: Any) -> int:
    """Rows of a backbone's embedding, from its config alone: where items' tokens begin.

    Raises:
        UserError: it has no config that can be read.
    """
    try:
        config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=False)
    except Exception as error:  # hub, cache and config readers have no common error
        raise _load_error(name_or_path, "config", error) from error
    return max(int(config.get_text_config().vocab_size), len(tokenizer))
