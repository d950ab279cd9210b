"""Fine-tuning steps with dropout from 16 random bits per number (key `fast_dropout`), beside PyTorch's own.

    python benchmarks/dropout.py [--model FOLDER] [--compute_dtype fp32] [--steps 12] [--length 120] [--targets 20]
        [--threads 1]

Both sides fine-tune tiny-falcon, with the default rates of dropout and of LoRA, or the model of a folder, with LoRA's
alone, on the same random prompts, 16 per step, and take turns. It prints CPU milliseconds per step, the median; the
last line is `ratio <number>`: PyTorch's over ours. On Intel's processors PyTorch has another generator in fp32, and the
ratio is smaller.
"""

import argparse
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.cpu.allocator import keep_freed_memory
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER

PROMPTS, SEED = 16, 7
DROPOUT, LORA_DROPOUT = 0.2, 0.05
VOCABULARY = 4096


def make_examples(count: int, length: int, targets: int) -> list[Example]:
    """Random ids, of which the last are the response."""
    rng = np.random.default_rng(SEED)
    rows = rng.integers(2, VOCABULARY, (count, length), np.int32)
    return [Example(row[: length - targets], row[length - targets :]) for row in rows]


def training(model_folder: Path | None, dtype: Any, examples: list[Example], steps: int, fast: bool) -> TrainStep:
    """Steps from a model's weights, tiny-falcon's for None, and a fresh adapter."""
    folder, dropout = (TINY_FALCON_FOLDER, DROPOUT) if model_folder is None else (model_folder, None)
    backbone = load_backbone(str(folder), "none", dtype, "cpu", dropout=dropout)
    model = new_adapter(backbone, 16, 16, LORA_DROPOUT, "auto", SEED).train()
    return TrainStep(model, examples, 1e-3, 0.0, 1.0, 0, steps, PROMPTS, 0.0, fast_dropout=fast)


def main() -> None:
    """Prints both sides and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="a model in place of tiny-falcon")
    parser.add_argument("--compute_dtype", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--length", type=int, default=120, help="tokens of a prompt with its response")
    parser.add_argument("--targets", type=int, default=20, help="tokens with a loss")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as the package's commands do
    torch.manual_seed(SEED)
    examples = make_examples(PROMPTS * (options.steps + 1), options.length, options.targets)
    given = options.model, options.compute_dtype, examples, options.steps + 1
    sides = {name: training(*given, name == "bits") for name in ("PyTorch's", "bits")}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for first in range(0, len(examples), PROMPTS):
        for name, side in sides.items():
            start = process_time()
            side.step([np.arange(first, first + PROMPTS)])
            spent[name].append(1000 * (process_time() - start))
    own, bits = (median(times[1:]) for times in spent.values())  # the first step of each warms up
    print(f"{options.steps} steps of {PROMPTS} prompts: {own:.0f} CPU ms per step, {bits:.0f} with fast_dropout")
    print(f"ratio {own / bits:.2f}")


if __name__ == "__main__":
    main()
