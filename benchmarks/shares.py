"""CPU time of the main job by part: one-time work, work per training prompt, per test prompt and per token.

    python benchmarks/shares.py [--dataset footwear] [--data_path dataset] [--config_files ''] [--key=value ..]

Runs LLMFashionRec with an empty checkpoint folder in one process, and prints CPU seconds and share of each part,
without the parts that it calls. The last line is `ratio <number>`: parts of the LLM over the total.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from time import process_time
from typing import Any

from recbole_llmfashion.config.command_line import read_keys
from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.llm.finetuning import curriculum
from recbole_llmfashion.llm.finetuning.step import train_step
from recbole_llmfashion.llm.finetuning.step.optimizer import Optimizer
from recbole_llmfashion.llm.generation import generator, response_cache
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline import inference, language_model, pipeline, training
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.quick_start import experiment
from recbole_llmfashion.quick_start.registry import get_model

# how often, label, owner of the function, its name, whether it belongs to the LLM
PARTS: list[tuple[str, str, Any, str, bool]] = [
    ("once", "rows of the dataset", experiment, "make_loaders", False),
    ("once", "ID model", experiment, "train_or_load", False),
    ("once", "CLIP tower", training, "train_clip", False),
    ("once", "title model", training, "train_title_model", False),
    ("once", "token ids of the catalogue", inference, "make_builder", True),
    ("once", "backbone and rows from words", language_model.LanguageModel, "_backbone", True),
    ("once", "trie", ItemTrie, "build", True),
    ("a training prompt", "its ids", pipeline, "training_examples", True),
    ("a training prompt", "forward and backward", train_step.TrainStep, "_forward", True),
    ("a training prompt", "AdamW and the items' rows", Optimizer, "step", True),
    ("a training prompt", "perplexity, to find the hardest", curriculum, "perplexities", True),
    ("a training prompt", "sampled responses, for the format failures", curriculum.CurriculumRun, "measure", True),
    ("a call", "the common prefix of the prompts", CausalLMRunner, "share", True),
    ("a test prompt", "its ids", PromptBuilder, "encode", True),
    ("a test prompt", "prefill", PromptBatch, "__init__", True),
    ("a test prompt", "the likeliest items", generator, "beam_search", True),
    ("a token", "forward", PromptBatch, "feed", True),
    ("a token", "tokens of the trie", generator, "greedy_search", True),
    ("a test prompt", "the rest of generation", response_cache.ResponseCache, "write", True),
    ("a test prompt", "lists and their fusion", LLMFashionRec, "ranked", False),
]


class Clock:
    """Seconds by part, each without its inner parts."""

    def __init__(self) -> None:
        self.seconds = [0.0] * len(PARTS)
        self._inner: list[float] = []

    def timed(self, place: int, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its own seconds added to the part at `place`."""

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            start = process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = process_time() - start
                self.seconds[place] += spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent

        return run


@contextlib.contextmanager
def watched(clock: Clock) -> Iterator[None]:
    """Within, every part's function is timed."""
    kept = [(owner, name, vars(owner)[name]) for _, _, owner, name, _ in PARTS]
    for place, (owner, name, function) in enumerate(kept):
        plain = function.__func__ if isinstance(function, classmethod) else function
        timed = clock.timed(place, plain)
        setattr(owner, name, classmethod(timed) if isinstance(function, classmethod) else timed)
    try:
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def main() -> None:
    """Prints a Markdown table and, last, `ratio <number>`."""
    words = sys.argv[1:] if "--dataset" in str(sys.argv) else ["--dataset=footwear", *sys.argv[1:]]
    given = read_keys(words)
    dataset, files = given.pop("dataset"), str(given.pop("config_files", "")).split()
    with tempfile.TemporaryDirectory() as folder:
        keys = given | {"checkpoint_dir": str(Path(folder))}
        config = load_config(get_model("LLMFashionRec").model, dataset, files, keys, ["CORE"])
        clock, start = Clock(), process_time()
        with watched(clock):
            experiment.run_experiment(config)
        whole = process_time() - start
    print("| when | what | seconds | share |\n| --- | --- | ---: | ---: |")
    rows = [*((when, what) for when, what, *_ in PARTS), ("", "all else")]
    for (when, what), spent in zip(rows, [*clock.seconds, whole - sum(clock.seconds)], strict=True):
        print(f"| {when} | {what} | {spent:.1f} | {100 * spent / whole:.1f} % |")
    print(f"{dataset}: {whole:.1f} s")
    llm = sum(spent for spent, part in zip(clock.seconds, PARTS, strict=True) if part[-1])
    print(f"ratio {llm / whole:.2f}")


if __name__ == "__main__":
    main()
