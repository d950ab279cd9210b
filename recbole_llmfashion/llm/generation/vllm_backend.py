"""Responses by vLLM, in its own environment: files there, a process, files back.

vLLM pins a torch and a transformers below ours and has no LoRA for Falcon, so a merged folder (merge.py) and a list of
token ids are handed to a Python of an environment of its own:

    <work>/request.json     the model's folder and how to decode
           prompts.jsonl    {"ids": [...]} a line
           choices.json     [{"text", "ids"}, ..] what a constrained response may say behind the prefix; [] for sampling
           responses.jsonl  {"ids": [...]} a line, written by vllm_worker.py

The exchange is tested with a stand-in; vLLM itself was never run here. Knows no item, and not where a model comes from.
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
from recbole_llmfashion.llm.generation.generator import DecodingSettings

WORKER = Path(__file__).with_name("vllm_worker.py")
# The model is a local folder: vLLM has nothing to ask a hub, and nobody to tell that it is used.
QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


def check_interpreter(python: str | None) -> Path:
    """The Python that runs vLLM.

    Raises:
        UserError: none is named, or there is no such file.
    """
    if not python:
        raise UserError("vllm_python: generation_backend: vllm needs the path of the Python of vLLM's environment")
    path = Path(python).expanduser()
    if not path.is_file():
        raise UserError(
            f"vllm_python: {python} is no file; name the Python of vLLM's environment, such as .../bin/python"
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
        done = subprocess.run(
            [str(python), str(WORKER), str(work)], env={**os.environ, **QUIET}, stderr=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise UserError(f"vllm_python: {python} cannot be run ({error.strerror}); name a Python") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1][:300]
        raise UserError(f"generation_backend: vLLM ended with status {done.returncode} ({last}); mend its environment")


def _read(work: Path, expected: int) -> list[list[int]]:
    file = work / "responses.jsonl"
    rows = [json.loads(line)["ids"] for line in file.read_text().splitlines()] if file.is_file() else []
    if len(rows) != expected:
        raise UserError(f"generation_backend: vLLM gave {len(rows)} responses to {expected} prompts; run it again")
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
    """Responses in the order of the prompts, as make_generator's generator gives them.

    Constrained decoding is a structured choice over the texts of `allowed_ids` and then greedy; a choice that vLLM
    tokenizes otherwise continues in our tokens.

    Args:
        python: of vLLM's environment.
        model: a merged folder.
        tokenizer: of that folder.
        settings: see DecodingSettings; the batch size is vLLM's own affair.
        prompts, allowed_ids, prefix: see make_generator.

    Raises:
        UserError: no such Python, a run that failed, or responses that are missing.
    """
    path = check_interpreter(python)
    if not prompts:
        return []
    constrained = settings.decoding == "constrained"
    plain = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    texts = tokenizer.batch_decode([list(ids) for ids in allowed_ids], **plain) if constrained else []
    choices = [{"text": text, "ids": list(map(int, ids))} for text, ids in zip(texts, allowed_ids, strict=False)]
    if torch.cuda.is_available():  # what this process no longer uses; vLLM wants nearly the whole card
        gc.collect()
        torch.cuda.empty_cache()
    with TemporaryDirectory(prefix="vllm-") as folder:
        _write(Path(folder), model, settings, prompts, choices, list(map(int, prefix)) if constrained else [])
        _run(path, Path(folder))
        rows = _read(Path(folder), len(prompts))
    ends = [row.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in row else len(row) for row in rows]
    return tokenizer.batch_decode([row[:end] for row, end in zip(rows, ends, strict=True)], **plain)
