"""Loads a causal LM and its tokenizer from a hub or a local folder, optionally quantized to NF4.

Code that comes with a model is never run, and pickled weights are never read.
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
from transformers.utils.hub import cached_file, extract_commit_hash

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import FileDigests, model_files, model_sha256
from recbole_llmfashion.llm.modeling.quantization import (
    assert_quantized,
    full_precision_on_cpu,
    nf4_config,
    plain_falcon_linear,
)

Quantization = Literal["nf4", "none"]
ComputeDtype = Literal["auto", "bf16", "fp16", "fp32"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
DROPOUTS = ("hidden_dropout", "attention_dropout", "resid_pdrop", "attn_pdrop")  # names of transformers' configs
MAIN = "main"  # the newest revision of a hub model
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "sentencepiece.bpe.model")


@dataclass
class Backbone:
    """A loaded model and its tokenizer.

    Args:
        model: the causal LM; a PeftModel around it once an adapter was added.
        tokenizer: fast, with eos and pad.
        name: hub name or folder.
        quantized_layers: number of NF4 layers; 0 if the model is not quantized.
        item_tokens: ids of the item tokens, at the end of the vocabulary; empty before add_item_tokens.
    """

    model: Any
    tokenizer: Any
    name: str
    quantized_layers: int
    item_tokens: range = range(0)

    @property
    def device(self) -> torch.device:
        """The device of the model's first parameter."""
        return next(self.model.parameters()).device


def pick_compute_dtype(name: ComputeDtype, device: torch.device) -> torch.dtype:
    """The compute dtype of a name; auto is bf16 or fp16 on a GPU and fp32 on a CPU (docs/method.md, stage 2).

    Raises:
        UserError: an unknown name.

    >>> pick_compute_dtype("auto", torch.device("cpu"))
    torch.float32
    """
    if name != "auto":
        if name not in DTYPES:
            raise UserError(f"compute_dtype: expected one of auto, {', '.join(DTYPES)}, found '{name}'")
        return DTYPES[name]
    if device.type != "cuda":
        return torch.float32
    # torch counts emulated bf16 as supported, but it is slower than fp16
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def one_line(error: BaseException) -> str:
    """The message of an error of a library, in one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def _load_error(name: str, what: str, error: BaseException) -> UserError:
    if Path(name).is_dir():
        return UserError(
            f"llm_name_or_path: the {what} in {name} cannot be read ({one_line(error)}); "
            "save it again with save_pretrained"
        )
    return UserError(
        f"llm_name_or_path: the {what} of '{name}' cannot be loaded ({one_line(error)}); check the name and the "
        "network, set HF_HUB_OFFLINE=1 if the model is in the cache, or use a local folder or `tiny-falcon`"
    )


def _check_folder(name: str) -> bool:
    """Whether `name` is a local folder rather than a hub name.

    Raises:
        UserError: it looks like a path that does not exist, or is a file.
    """
    path = Path(name)
    if path.is_dir():
        return True
    if path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or not name:
        raise UserError(
            f"llm_name_or_path: '{name}' is not a folder; name a folder, a GGUF file, a hub model, or `tiny-falcon`"
        )
    return False


def check_files(name: str) -> None:
    """Checks that a local folder holds a config and weights; a hub name passes.

    Raises:
        UserError: the folder or a file is missing.
    """
    if not _check_folder(name):
        return
    folder = Path(name)
    if not (folder / "config.json").is_file():
        files = sorted(folder.glob("*.gguf"))
        hint = f"name its file {files[0]}" if files else "name a folder written by save_pretrained"
        raise UserError(f"llm_name_or_path: {name} has no config.json; {hint}")
    if not any(folder.glob("*.safetensors")):
        raise UserError(
            f"llm_name_or_path: {name} has no weights (*.safetensors); "
            "save the model again with save_pretrained, or copy the weights there"
        )


def load_tokenizer(name_or_path: str, revision: str | None = None) -> Any:
    """Loads a fast tokenizer with an eos token; eos is also the pad token if the tokenizer has none.

    Args:
        name_or_path: a hub name or a folder.
        revision: commit of a hub model; None for its newest.

    Raises:
        UserError: the tokenizer cannot be loaded, has no fast version, or has no eos token.
    """
    local = _check_folder(name_or_path)
    if local and not any((Path(name_or_path) / file).is_file() for file in TOKENIZER_FILES):
        raise UserError(f"llm_name_or_path: {name_or_path} has no tokenizer; put the model's tokenizer.json there")
    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, revision=revision or MAIN, trust_remote_code=False)
    except Exception as error:  # hub, cache and file readers have no common base class; tokenizers raises Exception
        raise _load_error(name_or_path, "tokenizer", error) from error
    # prompts are made safe by the normalizer of the fast version (prompt/pieces/cells.py)
    fast = tokenizer.is_fast and getattr(tokenizer, "backend_tokenizer", None) is not None
    if not fast or tokenizer.eos_token_id is None:
        missing = "an end token" if fast else "a fast version"
        raise UserError(f"llm_name_or_path: the tokenizer of {name_or_path} lacks {missing}; name another backbone")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def check_spelling(tokenizer: Any, texts: Sequence[str], ids: Sequence[Sequence[int] | np.ndarray]) -> None:
    """Checks that the tokenizer can represent every item ID.

    Args:
        tokenizer: the backbone's.
        texts: the IDs as they appear in prompts and responses.
        ids: the token ids of each.

    Raises:
        UserError: an ID contains the unknown token, or is not restored by decoding; names the item.
    """
    unknown = tokenizer.unk_token_id
    decoded = tokenizer.batch_decode([list(row) for row in ids], clean_up_tokenization_spaces=False)
    for text, row, found in zip(texts, ids, decoded, strict=True):
        if (unknown is not None and unknown in row) or found.strip() != text:
            raise UserError(
                f"llm_name_or_path: its tokenizer cannot represent the item ID '{text}' (decoded: '{found.strip()}'); "
                "name a backbone with byte-level tokens, or rename the item"
            )


def check_match(model: Any, tokenizer: Any, name: str) -> None:
    """Checks that a model, whose weights may be missing, and a tokenizer belong together.

    Raises:
        UserError: the tokenizer has ids beyond the model's embedding.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise UserError(
            f"llm_name_or_path: the tokenizer of {name} has ids up to {highest}, the model has {rows} rows; use the "
            "tokenizer that belongs to the model"
        )
    end = model.config.eos_token_id
    if end is not None and tokenizer.eos_token_id not in (end if isinstance(end, list) else [end]):
        getLogger(__name__).warning(
            f"llm_name_or_path: {name}: eos is {end} in the model's config and {tokenizer.eos_token_id} in its "
            "tokenizer; the tokenizer's is used"
        )


def dropouts(config: Any, name: str, rate: float) -> dict[str, float]:
    """The dropout rates of a backbone's config, all set to `rate`.

    Raises:
        UserError: the architecture has none.
    """
    text = config.get_text_config()
    names = [key for key in DROPOUTS if hasattr(text, key)]
    if not names:
        raise UserError(f"llm_dropout: {name} ({config.model_type}) has no dropout of its own; leave llm_dropout empty")
    return dict.fromkeys(names, rate)


def _load_model(
    name: str,
    quantized: bool,
    dtype: torch.dtype,
    device: torch.device,
    revision: str | None,
    dropout: float | None,
) -> Any:
    extra: dict[str, Any] = {"quantization_config": nf4_config(dtype)} if quantized else {}
    if dropout is not None:
        extra |= dropouts(load_config(name, revision), name, dropout)
    try:
        AutoConfig.from_pretrained(name, revision=revision or MAIN, trust_remote_code=False)
        with plain_falcon_linear() if quantized else nullcontext():
            model, report = AutoModelForCausalLM.from_pretrained(
                name,
                revision=revision or MAIN,
                dtype=dtype,
                device_map={"": device},
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **extra,
            )
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(f"llm_name_or_path: {name} does not fit on {device}; {one_line(error)}") from error
    except Exception as error:  # see load_tokenizer
        raise _load_error(name, "model", error) from error
    if report["missing_keys"]:  # transformers would initialize them at random
        missing = sorted(report["missing_keys"])
        raise UserError(
            f"llm_name_or_path: {name} lacks {len(missing)} weights of its architecture ({missing[0]}, ..); "
            "download or save it again"
        )
    return model


def load_backbone(
    name_or_path: str,
    quantization: Quantization = "nf4",
    compute_dtype: ComputeDtype = "auto",
    device: torch.device | str | None = None,
    revision: str | None = None,
    dropout: float | None = None,
) -> Backbone:
    """Loads a causal LM, by default quantized to NF4 with double quantization (docs/method.md, stage 2).

    Args:
        name_or_path: a hub name or a folder written by save_pretrained, with weights in safetensors.
        quantization: nf4 or none.
        compute_dtype: dtype of activations and of parameters that are not quantized.
        device: None for CUDA if available, else the CPU.
        revision: commit of a hub model; None for its newest.
        dropout: of the model's own layers in training, see `dropouts`; None for that of its config.

    Raises:
        UserError: no such model or folder, missing files or weights, no access to the hub, a tokenizer of another
            model, or a linear layer that was not quantized.
    """
    if quantization not in ("nf4", "none"):
        raise UserError(f"quantization: expected nf4 or none, found '{quantization}'")
    target = torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
    check_files(name_or_path)
    tokenizer = load_tokenizer(name_or_path, revision)
    dtype = pick_compute_dtype(compute_dtype, target)
    model = _load_model(name_or_path, quantization == "nf4", dtype, target, revision, dropout)
    check_match(model, tokenizer, name_or_path)
    layers = assert_quantized(model, name_or_path) if quantization == "nf4" else 0
    if target.type == "cpu":
        full_precision_on_cpu(model)
    return Backbone(model.eval(), tokenizer, name_or_path, layers)


def load_config(name_or_path: str, revision: str | None = None) -> Any:
    """A backbone's config.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return AutoConfig.from_pretrained(name_or_path, revision=revision or MAIN, trust_remote_code=False)
    except Exception as error:  # see load_tokenizer
        raise _load_error(name_or_path, "config", error) from error


def vocabulary_size(name_or_path: str, tokenizer: Any, revision: str | None = None) -> int:
    """Number of rows of a backbone's embedding, read from its config: the id of the first item token.

    Raises:
        UserError: the config cannot be read.
    """
    config = load_config(name_or_path, revision)
    return max(int(config.get_text_config().vocab_size), len(tokenizer))


def backbone_identity(name_or_path: str, revision: str | None, digests: FileDigests) -> str:
    """What a backbone is to the stages made from it: a digest over every file of a folder, or a commit of the hub.

    Raises:
        UserError: a file cannot be read.
    """
    if _check_folder(name_or_path):
        return model_sha256(model_files(Path(name_or_path)), digests)
    return f"{name_or_path}@{revision}"


def hub_commit(name: str) -> str:
    """The commit of a hub model that `from_pretrained` loads, which names all of its bytes.

    Raises:
        UserError: the hub's config cannot be loaded.
    """
    try:
        return str(extract_commit_hash(cached_file(name, "config.json"), None))
    except Exception as error:  # see load_tokenizer
        raise _load_error(name, "config", error) from error
