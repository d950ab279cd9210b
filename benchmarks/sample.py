"""The paper's sampling compared with `model.generate`, on the same batches and from the same random numbers.

    python benchmarks/sample.py [--dataset footwear] [--users 128] [--rounds 3] [--key=value ..]

Prompts are those of the paper's form for the first test users, without recalled products, which need a trained tower.
The adapter has random numbers, the backbone the keys' quantization. Both process the same batches, from the longest to
the shortest prompts, with a key-value cache and at most two threads. It prints how many responses are the same, token
by token, and as the last line `ratio <number>`: seconds of `model.generate` over ours, the median of the rounds.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generate import make_model, make_prompts, read_options

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.llm.batching import each_batch, left_pad
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import Generator
from recbole_llmfashion.pipeline.settings import decoding_settings
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.study.forms import paper_form

Side = Callable[[Sequence[np.ndarray]], list[str]]


def make_peer(model: Any, decoder: Any, settings: DecodingSettings) -> Side:
    """`model.generate` over the prompts, longest first: the texts, cut at the end token."""
    eos, pad = decoder.eos_token_id, decoder.pad_token_id

    def generate_all(prompts: Sequence[np.ndarray]) -> list[str]:
        texts = [""] * len(prompts)

        def process(chosen: np.ndarray) -> None:
            ids, mask = left_pad([prompts[i] for i in chosen], pad)
            output = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=settings.max_new_tokens,
                do_sample=True,
                temperature=settings.temperature,
                top_p=settings.top_p,
                top_k=0,
                eos_token_id=eos,
                pad_token_id=pad,
            )
            for i, row in zip(chosen, output[:, ids.shape[1] :].tolist(), strict=True):
                row = row[: row.index(eos)] if eos in row else row
                texts[i] = decoder.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)

        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(settings.seed)
            each_batch([len(prompt) for prompt in prompts], settings.batch_size, process, False)
        return texts

    return generate_all


def compare(sides: dict[str, Side], prompts: Sequence[np.ndarray], rounds: int) -> None:
    """Runs both sides by turns; prints users per second, how many texts are the same, and the ratio."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    texts: dict[str, list[str]] = {}
    for side in sides.values():
        side(prompts[:2])  # nobody pays for the first call
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            texts[name] = side(prompts)
            seconds[name].append(time.perf_counter() - start)
        print(", ".join(f"{name} {len(prompts) / taken[-1]:.1f} users/s" for name, taken in seconds.items()))
    same = sum(a == b for a, b in zip(texts["peer"], texts["ours"], strict=True))
    print(f"same responses: {same} of {len(prompts)}")
    ratios = [peer / own for peer, own in zip(seconds["peer"], seconds["ours"], strict=True)]
    print(f"ratio {statistics.median(ratios):.2f}")


def main() -> None:
    """Makes the prompts and the model, and runs both sides."""
    options, keys, files = read_options(__doc__)
    torch.set_num_threads(min(2, torch.get_num_threads()))
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(
            get_model("LLMFashionRec").model, options.dataset, files, {**paper_form(), **keys}, ["CORE"]
        )
        pipeline, prompts = make_prompts(config, options.users, Path(folder))
        model, decoder = make_model(config, pipeline), pipeline.inference.builder.decoder
        settings = decoding_settings(config, seed=0)
        print(
            f"{len(prompts)} prompts of {min(map(len, prompts))} to {max(map(len, prompts))} tokens, "
            f"{settings.batch_size} at once, {config['quantization']} weights, {torch.get_num_threads()} threads"
        )
        ours = Generator(model, decoder, settings)
        compare({"peer": make_peer(model, decoder, settings), "ours": ours}, prompts, options.rounds)


if __name__ == "__main__":
    main()
