"""Script that generates responses with vLLM. It runs in vLLM's environment and does not import this package.

    python vllm_worker.py FOLDER

FOLDER holds the files that vllm_backend.py wrote. The script adds responses.jsonl: one line {"ids": [...]} per prompt,
including the forced prefix.

The script follows the documentation of vLLM 0.12 to 0.33, where structured outputs are
`SamplingParams(structured_outputs=StructuredOutputsParams(choice=[...]))`. It is tested with a stub of that interface
and has not been run with vLLM itself.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def _prompts(rows: list[list[int]]) -> list[dict[str, list[int]]]:
    return [{"prompt_token_ids": row} for row in rows]


def _constrained(
    llm: Any, request: dict[str, Any], prompts: list[list[int]], choices: list[dict[str, Any]]
) -> list[list[int]]:
    """Generates in two calls: one of the choices, then the title, because a choice ends the output."""
    vllm, structured = import_module("vllm"), import_module("vllm.sampling_params")
    ids_of = {choice["text"]: choice["ids"] for choice in choices}
    # vLLM may tokenize a choice differently, at worst with one token per byte
    longest = max(len(text.encode()) for text in ids_of)
    one_choice = structured.StructuredOutputsParams(choice=list(ids_of))
    params = vllm.SamplingParams(temperature=0.0, max_tokens=longest, structured_outputs=one_choice)
    prefixed = [[*prompt, *request["prefix"]] for prompt in prompts]
    texts = [output.outputs[0].text for output in llm.generate(_prompts(prefixed), params)]
    unknown = [text for text in texts if text not in ids_of]
    if unknown:
        sys.exit(f"vllm_worker: {len(unknown)} responses are not among the choices, for example {unknown[0]!r}")
    heads = [ids_of[text] for text in texts]
    rooms = [request["max_new_tokens"] - len(request["prefix"]) - len(head) for head in heads]
    params = [vllm.SamplingParams(temperature=0.0, max_tokens=max(1, room)) for room in rooms]
    tails = llm.generate(_prompts([row + head for row, head in zip(prefixed, heads, strict=True)]), params)
    return [
        [*request["prefix"], *head, *list(tail.outputs[0].token_ids)[: max(0, room)]]
        for head, tail, room in zip(heads, tails, rooms, strict=True)
    ]


def _sampled(llm: Any, request: dict[str, Any], prompts: list[list[int]]) -> list[list[int]]:
    params = import_module("vllm").SamplingParams(
        temperature=request["temperature"],
        top_p=request["top_p"],
        max_tokens=request["max_new_tokens"],
        seed=request["seed"],
    )
    return [list(output.outputs[0].token_ids) for output in llm.generate(_prompts(prompts), params)]


def main(folder: Path) -> None:
    """Generates a response for each prompt of a folder."""
    request = json.loads((folder / "request.json").read_text())
    choices = json.loads((folder / "choices.json").read_text())
    prompts = [json.loads(line)["ids"] for line in (folder / "prompts.jsonl").read_text().splitlines()]
    # generation_config="vllm" ignores the generation settings in the model folder
    llm = import_module("vllm").LLM(
        model=request["model"],
        seed=request["seed"],
        max_model_len=request["max_model_len"],
        enable_prefix_caching=True,
        generation_config="vllm",
        trust_remote_code=False,
    )
    rows = _constrained(llm, request, prompts, choices) if choices else _sampled(llm, request, prompts)
    (folder / "responses.jsonl").write_text("".join(json.dumps({"ids": row}) + "\n" for row in rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
