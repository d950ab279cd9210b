"""What docs/gpu.md shows of a GPU, in one run of at most eight minutes.

    python benchmarks/gpu.py [--minutes 8] [--commit HASH] [--page docs/gpu.md]
    python benchmarks/gpu.py --tiny

On one CUDA GPU it measures, in this order, and writes the page after each part:

1. the losses of 20 steps of a small Falcon with one key for all heads, in bf16, beside those of peft's LoRA;
2. steps/s of tiny-falcon's shape, 16 prompts of 130 to 250 tokens: layers as they are, with `torch_compile`, with
   `cuda_graphs`, and with the graphs that torch.compile captures per layer (`reduce-overhead`), which no key chooses;
3. `falcon7b.py --profile`: training and generation with Falcon-7B's shape, NF4 and bf16.

A part that would begin after `--minutes` is left out, and the page says so. The tables replace what is between two
comments of the page. `--tiny` runs the parts at a toy size on any machine and prints them.
"""

import argparse
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module, metadata
from pathlib import Path
from sys import path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm import compiling
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import new_tiny_falcon, save_tiny_falcon, train_tokenizer

path.insert(0, str(Path(__file__).parent))
falcon7b = import_module("falcon7b")

BEGIN, END = "<!-- benchmarks/gpu.py writes from here -->", "<!-- to here -->"
STEPS = 20
# of a step: name -> key of TrainStep that is True, and the mode of torch.compile
WAYS: dict[str, tuple[str, str | None]] = {
    "": ("", None),
    ", torch_compile": ("torch_compile", None),
    ", cuda_graphs": ("cuda_graphs", None),
    ", torch_compile and reduce-overhead": ("torch_compile", "reduce-overhead"),
}
Rows = dict[str, Any]


def answer_of(command: list[str]) -> str:
    """First line of a command's output; empty if it cannot be run."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip().split("\n")[0]


def environment(device: torch.device, commit: str) -> str:
    """Card, driver, versions and commit in a line."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine() or "CPU"
    driver = answer_of(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]) or "none"
    versions = [f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "peft", "bitsandbytes")]
    commit = commit or answer_of(["git", "rev-parse", "--short", "HEAD"]) or "unknown"
    return f"{card}, driver {driver}, {', '.join(versions)}, commit {commit}"


def trained(
    folder: Path,
    quantization: Any,
    dtype: Any,
    device: torch.device,
    lengths: tuple[int, int],
    key: str = "",
) -> TrainStep:
    """Steps of 16 random prompts, from the same adapter each time; `key` of TrainStep is True."""
    backbone = load_backbone(str(folder), quantization, dtype, device)
    vocabulary = backbone.model.get_input_embeddings().num_embeddings
    rng = np.random.default_rng(0)
    draw = lambda: rng.integers(2, vocabulary, rng.integers(*lengths)).astype(np.int32)  # noqa: E731
    examples = [Example(draw(), draw()[:8]) for _ in range(16)]
    model: Any = new_adapter(backbone, 16, 16, 0.0, "auto", seed=0)
    switched: dict[str, Any] = {key: True} if key else {}
    return TrainStep(model.train(), examples, 5e-3, 0.0, 1.0, 1, 1000, 16, item_embedding_lr=0.0, **switched)


def same_losses(device: torch.device, tiny: bool) -> Rows:
    """The largest difference of a loss from peft's, and what the loss fell by meanwhile."""
    size = replace(falcon7b.TINY, width=64 if tiny else 512, heads=4 if tiny else 8)
    rows: Rows = {}
    with tempfile.TemporaryDirectory() as name:
        falcon7b.write_model(size, device, Path(name))
        for quantization in ("nf4", "none"):
            losses: list[list[float]] = []
            for peft in (False, True):
                way = "recbole_llmfashion.llm.layers.half_lora.adapter_of"
                with patch(way, lambda _: None) if peft else nullcontext():
                    training = trained(Path(name), quantization, "bf16", device, (20, 60))
                    losses.append([training.step([np.arange(16)]) for _ in range(STEPS)])
            apart = float(np.abs(np.subtract(losses[0], losses[1])).max())
            rows[f"losses of {STEPS} steps, largest difference from peft's, {quantization}"] = apart
            rows[f"the loss fell by, {quantization}"] = losses[0][0] - losses[0][-1]
    return rows


def small_rates(device: torch.device, tiny: bool) -> Rows:
    """Steps per second with tiny-falcon's shape, in each way; the message of one that fails."""
    rows: Rows = {}
    for way, (key, mode) in WAYS.items():
        # a toy size shows that the way is taken, and spends no minute on a C++ compiler
        backend: dict[str, Any] = {"BACKEND": "eager", "MODE": None} if tiny else {"BACKEND": "inductor", "MODE": mode}
        with patch.multiple(compiling, **backend):
            try:
                rate: Any = small_rate(device, tiny, key)
            except (RuntimeError, UserError) as error:
                rate = f"failed: {str(error).strip().splitlines()[0][:160]}"
        rows[f"tiny-falcon's shape, NF4{way}: steps/s"] = rate
    return rows


def small_rate(device: torch.device, tiny: bool, key: str) -> float:
    """Steps per second with a key of TrainStep; compiling and recording are over before the clock starts."""
    with tempfile.TemporaryDirectory() as name:
        shape = (320, 32, 2, 2) if tiny else (4096, 128, 4, 4)
        save_tiny_falcon(new_tiny_falcon(*shape, seed=0), train_tokenizer(["product ID:, title:"], 300), Path(name))
        training = trained(Path(name), "nf4", "auto", device, (10, 20) if tiny else (130, 250), key)
    step = lambda: training.step([np.arange(16)])  # noqa: E731
    steps = 2 if tiny else 50
    for _ in range(3):  # a graph is recorded in the second step
        step()
    return float(steps / falcon7b.seconds(lambda: [step() for _ in range(steps)], device))


def lines(rows: Rows) -> str:
    """Markdown, a line a quantity."""
    shown = {name: value if isinstance(value, str) else f"{value:,.3g}" for name, value in rows.items()}
    return "\n".join(["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in shown.items())])


def put(page: Path, text: str) -> None:
    """Replaces what is between the two comments of a page."""
    whole = page.read_text(encoding="utf-8")
    before, _, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{page}: expected the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Prints each part and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--commit", default="", help="where there is no git")
    parser.add_argument("--page", type=Path, help="docs/gpu.md; with --tiny none")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        raise SystemExit("benchmarks/gpu.py needs a CUDA GPU of 40 GB; --tiny runs a toy size anywhere")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    page = options.page or (None if options.tiny else Path(__file__).parents[1] / "docs/gpu.md")
    size = falcon7b.TINY if options.tiny else falcon7b.Size()
    parts: dict[str, Callable[[], str]] = {
        "losses": lambda: lines(same_losses(device, options.tiny)),
        "tiny-falcon": lambda: lines(small_rates(device, options.tiny)),
        "Falcon-7B's shape": lambda: falcon7b.table(falcon7b.measure(size, device, "auto", profiled=True)),
    }
    start, texts = time.monotonic(), [environment(device, options.commit)]
    for name, part in parts.items():
        late = time.monotonic() - start > options.minutes * 60
        texts.append(f"{name}: left out, the time was over" if late else part())
        print(texts[-1], flush=True)
        if page is not None:
            put(page, "\n\n".join(texts))
    print(texts[0])


if __name__ == "__main__":
    main()
