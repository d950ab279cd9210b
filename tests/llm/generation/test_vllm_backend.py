"""The exchange with vLLM's environment, with a stub of vLLM's interface."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation import vllm_backend
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.vllm_backend import WORKER, vllm_generate

PREFIX, IDS, SEPARATOR = " product ID:", ["B123456", "B7"], ", title:"
# Chooses by the prompt's length, then generates two fixed tokens and eos.
FAKE = """
import json, os, types, sys
from pathlib import Path
from types import SimpleNamespace

here = Path(__file__).parent
calls = []


class Params:
    def __init__(self, **given):
        self.__dict__.update(given)


class LLM:
    def __init__(self, **given):
        calls.append({"llm": given, "quiet": [os.environ[n] for n in ("HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS")]})

    def generate(self, prompts, params):
        many = params if isinstance(params, list) else [params] * len(prompts)
        shown = [{k: getattr(v, "choice", v) for k, v in vars(p).items()} for p in many]
        calls.append({"prompts": prompts, "params": shown})
        (here / "calls.json").write_text(json.dumps(calls))
        return [SimpleNamespace(outputs=[self.answer(p["prompt_token_ids"], s)]) for p, s in zip(prompts, many)]

    def answer(self, ids, params):
        if hasattr(params, "structured_outputs"):
            choice = params.structured_outputs.choice
            return SimpleNamespace(text=choice[len(ids) % len(choice)], token_ids=(5,))
        return SimpleNamespace(text="?", token_ids=tuple([70, 71, 1, 72][: params.max_tokens]))
"""


def fake_interpreter(folder: Path, script: str) -> str:
    """An executable that is called like a Python interpreter."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable} -S\n{script}")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def fake(tmp_path: Path) -> str:
    """A Python in which `vllm` is the stub; it runs the real worker."""
    package = tmp_path / "site/vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"{FAKE}\n\nclass SamplingParams(Params):\n    pass\n")
    (package / "sampling_params.py").write_text(
        "from vllm import Params\n\n\nclass StructuredOutputsParams(Params):\n    pass\n"
    )
    run = f"import runpy, sys\nsys.path.insert(0, {str(tmp_path / 'site')!r})\nsys.argv = sys.argv[1:]\n"
    return fake_interpreter(tmp_path, f"{run}runpy.run_path(sys.argv[0], run_name='__main__')\n")


def ask(python: str | None, tokenizer: Any, decoding: Any = "constrained", room: int = 40) -> list[str]:
    tokens = lambda text: tokenizer(text)["input_ids"]  # noqa: E731
    allowed_ids = [[*tokens(f" {item}"), *tokens(SEPARATOR)] for item in IDS]
    settings = DecodingSettings(decoding=decoding, max_new_tokens=room, temperature=0.5, top_p=0.9, seed=3)
    prefix = tokens(PREFIX)
    width = (5 - len(prefix)) % 2 + 2  # so that the first prompt, with the prefix, is of odd length
    prompts = [np.arange(2, 2 + width, dtype=np.int32), np.arange(2, 3 + width, dtype=np.int32)]
    return vllm_generate(python, Path("merged"), tokenizer, settings, prompts, allowed_ids, prefix)


def test_constrained_decoding(fake: str, tmp_path: Path, tokenizer: Any) -> None:
    title = tokenizer.decode([70, 71])
    assert ask(fake, tokenizer) == [f"{PREFIX} B7{SEPARATOR}{title}", f"{PREFIX} B123456{SEPARATOR}{title}"]
    llm, choosing, writing = json.loads((tmp_path / "site/vllm/calls.json").read_text())
    assert llm["llm"]["model"] == str(Path("merged").resolve()) and llm["llm"]["trust_remote_code"] is False
    assert llm["quiet"] == ["1", "1"]
    choices = [" B123456, title:", " B7, title:"]
    assert [p["structured_outputs"] for p in choosing["params"]] == [choices, choices]
    assert {p["temperature"] for p in choosing["params"] + writing["params"]} == {0.0}
    prefix, chosen = tokenizer(PREFIX)["input_ids"], tokenizer(" B7")["input_ids"] + tokenizer(SEPARATOR)["input_ids"]
    first = choosing["prompts"][0]["prompt_token_ids"]
    assert first[-len(prefix) :] == prefix and first[: -len(prefix)] == list(range(2, 2 + len(first) - len(prefix)))
    assert writing["prompts"][0]["prompt_token_ids"] == [*first, *chosen]
    assert writing["params"][0]["max_tokens"] == 40 - len(prefix) - len(chosen)


def test_sampling_without_prefix_and_choices(fake: str, tmp_path: Path, tokenizer: Any) -> None:
    assert ask(fake, tokenizer, "sample", 7) == [tokenizer.decode([70, 71])] * 2
    _, allowed_ids = json.loads((tmp_path / "site/vllm/calls.json").read_text())
    assert allowed_ids["params"] == [{"temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "seed": 3}] * 2


def test_no_prompts(tmp_path: Path, tokenizer: Any) -> None:
    python = fake_interpreter(tmp_path, "raise SystemExit(9)\n")
    assert vllm_generate(python, tmp_path, tokenizer, DecodingSettings(), [], [], []) == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys\nsys.exit('first\\nNo module named vllm')\n", r"status 1 \(No module named vllm\)"),
        ("raise SystemExit(3)\n", r"status 3 \(no message\)"),
        ("", "expected 2 responses from vLLM, found 0"),
        (
            "import sys\nfrom pathlib import Path\n"
            "Path(sys.argv[2], 'responses.jsonl').write_text('{\"ids\": [5]}\\n')\n",
            "expected 2 responses from vLLM, found 1",
        ),
    ],
)
def test_failed_process_is_one_line(tmp_path: Path, tokenizer: Any, script: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        ask(fake_interpreter(tmp_path, script), tokenizer)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("python", [None, "", "/no/such/python"])
def test_missing_interpreter(tokenizer: Any, python: str | None) -> None:
    with pytest.raises(UserError, match="vllm_python"):
        ask(python, tokenizer)


def test_interpreter_that_is_not_executable(tmp_path: Path, tokenizer: Any) -> None:
    (tmp_path / "python").write_text("text")
    with pytest.raises(UserError, match="cannot be run"):
        ask(str(tmp_path / "python"), tokenizer)


def test_response_that_is_not_a_choice(fake: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Path(fake).with_name("worker.py")
    worker.write_text(WORKER.read_text().replace("output.outputs[0].text for", "'B9' for"))
    monkeypatch.setattr(vllm_backend, "WORKER", worker)
    with pytest.raises(UserError, match="2 responses are not among the choices, for example 'B9'"):
        ask(fake, tokenizer)
