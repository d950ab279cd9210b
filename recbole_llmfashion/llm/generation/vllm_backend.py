"""Generation with vLLM in a separate Python environment, through files and a subprocess.

vLLM requires older versions of torch and transformers and has no LoRA for Falcon, so it gets a merged model
(merge.py) and runs in its own environment:

    <work>/request.json     the model's folder and the decoding settings
           prompts.jsonl    one line {"ids": [...]} per prompt
           choices.json     [{"text", "ids"}, ..] the allowed continuations of the prefix; [] for sampling
           responses.jsonl  one line {"ids": [...]} per prompt, written by vllm_worker.py

The exchange is tested with a stub; it has not been run with vLLM itself.
"""

import gc
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings

WORKER = Path(__file__).with_name("vllm_worker.py")
# the model is a local folder, so vLLM needs no hub; usage statistics are off
OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


def check_interpreter(python: str | None) -> Path:
    """The path of the Python that runs vLLM.

    Raises:
        UserError: no path is given, or there is no such file.
    """
    if not python:
        raise UserError("vllm_python: generation_backend: vllm needs the path of the Python of vLLM's environment")
    path = Path(python).expanduser()
    if not path.is_file():
        raise UserError(
            f"vllm_python: expected the Python of vLLM's environment, such as .../bin/python, found '{python}', which "
            "is not a file"
        )
    return path


def _write(
    work: Path,
    model: Path,
    settings: DecodingSettings,
    prompts: Sequence[np.ndarray],
    choices: list[dict[str, Any]],
    prefix: Sequence[int],
) -> None:
    request = {
        "model": str(model.resolve()),
        "prefix": list(prefix),
        "max_new_tokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "seed": settings.seed,
        "max_model_len": max(map(len, prompts)) + settings.max_new_tokens + 1,
    }
    (work / "request.json").write_text(json.dumps(request))
    (work / "choices.json").write_text(json.dumps(choices))
    lines = (json.dumps({"ids": prompt.tolist()}) for prompt in prompts)
    (work / "prompts.jsonl").write_text("".join(f"{line}\n" for line in lines))


def _run(python: Path, work: Path) -> None:
    try:
        process = subprocess.run(
            [str(python), str(WORKER), str(work)], env={**os.environ, **OFFLINE}, stderr=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise UserError(f"vllm_python: {python} cannot be run ({error.strerror}); name a Python") from error
    if process.returncode:
        last = (process.stderr.strip().splitlines() or ["no message"])[-1][:300]
        raise UserError(
            f"generation_backend: vLLM failed with status {process.returncode} ({last}); fix its environment"
        )


def _read(work: Path, expected: int) -> list[list[int]]:
    file = work / "responses.jsonl"
    rows = [json.loads(line)["ids"] for line in file.read_text().splitlines()] if file.is_file() else []
    if len(rows) != expected:
        raise UserError(f"generation_backend: expected {expected} responses from vLLM, found {len(rows)}; run it again")
    return rows


def vllm_generate(
    python: str | None,
    model: Path,
    tokenizer: Any,
    settings: DecodingSettings,
    prompts: Sequence[np.ndarray],
    allowed_ids: Sequence[Sequence[int]],
    prefix: Sequence[int],
) -> list[str]:
    """Generates a response for each prompt, in order, in the format of make_generator's generator.

    Constrained decoding is a structured choice among the texts of `allowed_ids`, followed by greedy decoding. A choice
    that vLLM tokenizes differently is replaced by the tokens of `allowed_ids` before the title is generated.

    Args:
        python: the Python of vLLM's environment.
        model: folder of a merged model.
        tokenizer: the tokenizer of that folder.
        settings: see DecodingSettings; the batch size is ignored.
        prompts: int arrays of token ids.
        allowed_ids, prefix: see make_generator.

    Raises:
        UserError: no such Python, the run failed, or responses are missing.
    """
    path = check_interpreter(python)
    if not prompts:
        return []
    constrained = settings.decoding == "constrained"
    plain = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    texts = tokenizer.batch_decode([list(ids) for ids in allowed_ids], **plain) if constrained else []
    choices = [{"text": text, "ids": list(map(int, ids))} for text, ids in zip(texts, allowed_ids, strict=False)]
    if torch.cuda.is_available():  # release cached memory: vLLM reserves most of the GPU
        gc.collect()
        torch.cuda.empty_cache()
    with TemporaryDirectory(prefix="vllm-") as folder:
        _write(Path(folder), model, settings, prompts, choices, list(map(int, prefix)) if constrained else [])
        _run(path, Path(folder))
        rows = _read(Path(folder), len(prompts))
    ends = [row.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in row else len(row) for row in rows]
    return tokenizer.batch_decode([row[:end] for row, end in zip(rows, ends, strict=True)], **plain)
