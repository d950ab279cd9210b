"""Constrained greedy decoding compared with `model.generate` and `prefix_allowed_tokens_fn`, on the same batches.

    python benchmarks/generate.py [--dataset footwear] [--users 128] [--rounds 3] [--key=value ..]

Prompts are those of the main job for its first test users, without recalled products, which need a trained tower. The
adapter has random numbers; item embeddings are computed from the words of the items. Keys such as `--item_tokens text
--prompt_item_text True --prompt_template paper` change both sides. Both process the same batches, from the longest to
the shortest prompts, with a key-value cache and at most two threads; the allowed tokens for `model.generate` come
from a dict that is built in advance. Responses are compared token by token; rows whose first difference is between
tokens with logits less than 1e-4 apart are counted separately. The last lines are `ratio lookup <number>`, for
`response_title: catalogue`, and `ratio <number>`, for generated titles.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.config.command_line import read_keys
from recbole_llmfashion.config.configurator import LLMFashionConfig, load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.llm.batching import left_pad
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import common_prefix
from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.generator import make_generator
from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.pipeline import Pipeline, own_pipeline
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader
from recbole_llmfashion.prompt.response import SEPARATOR
from recbole_llmfashion.quick_start.registry import get_model
from recbole_llmfashion.stage_store import StageStore

NEAR = 1e-4
ADAPTER_STD = 0.02  # of B; peft begins with zeros, which would add nothing


class Recording:
    """A tokenizer that records the ids that it decodes, in order."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self.eos_token_id, self.pad_token_id = decoder.eos_token_id, decoder.pad_token_id
        self.model_inputs: dict[str, list[int]] = {}

    def decode(self, ids: list[int], **options: Any) -> str:
        """The tokenizer's text."""
        text = self._decoder.decode(ids, **options)
        self.model_inputs[text] = ids
        return text


def make_prompts(config: LLMFashionConfig, users: int, folder: Path) -> tuple[Pipeline, list[np.ndarray]]:
    """A pipeline that has learned nothing yet, and its prompts for the first test rows."""
    loaders = make_loaders(config)
    pipeline = own_pipeline(config, loaders.dataset, StageStore(folder), lambda: None)
    loader = LLMFashionRecDataLoader(config, loaders.test._dataset, loaders.test._sampler)
    loader.set_builder(pipeline.inference.builder)
    rows = np.arange(min(users, len(loader._dataset)))
    return pipeline, [row.prompt.ids for row in loader.rows(rows)]


def make_model(config: LLMFashionConfig, pipeline: Pipeline) -> Any:
    """The backbone as the config loads it, with the rows of the items' tokens and an adapter of random matrices."""
    source = pipeline.trained.llm.source
    backbone = load_backbone(source, config["quantization"], config["compute_dtype"], config["device"])
    if pipeline.inference.item_tokens is not None:
        add_item_tokens(backbone, pipeline.inference.item_tokens)
    sizes = config["lora_r"], config["lora_alpha"], config["lora_dropout"]
    model = new_adapter(backbone, *sizes, settings.target_modules(config), seed=0)
    drawn = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.copy_(torch.empty(parameter.shape).normal_(0, ADAPTER_STD, generator=drawn))
    return model.eval()


def make_peer(model: Any, decoder: Any, builder: PromptBuilder, batch: int, new_tokens: int) -> Callable:
    """`model.generate` over the prompts, longest first: a list of token rows, the prefix first, cut at the end."""
    table: dict[tuple[int, ...], set[int]] = {}
    prefix, allowed_ids = builder.id_prefix.tolist(), builder.allowed_ids
    for sequence in allowed_ids:
        for i, token in enumerate(sequence):
            table.setdefault(tuple(sequence[:i]), set()).add(token)
    allowed = {start: torch.tensor(sorted(tokens), device=model.device) for start, tokens in table.items()}
    size = model.get_input_embeddings().weight.shape[0]
    everything, deepest = torch.arange(size, device=model.device), max(map(len, allowed_ids))
    eos, pad = decoder.eos_token_id, decoder.pad_token_id

    def generate_all(prompts: Sequence[np.ndarray]) -> list[list[int]]:
        rows: list[list[int]] = [[]] * len(prompts)
        order = np.argsort([-len(prompt) for prompt in prompts], kind="stable")
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            ids, mask = left_pad([np.r_[prompts[i], prefix] for i in chosen], pad)
            width = ids.shape[1]

            def may(_: int, so_far: torch.Tensor, width: int = width) -> Any:
                if len(so_far) - width >= deepest:
                    return everything
                return allowed.get(tuple(so_far[width:].tolist()), everything)

            output = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=new_tokens - len(prefix),
                do_sample=False,
                use_cache=True,
                eos_token_id=eos,
                pad_token_id=pad,
                prefix_allowed_tokens_fn=may,
            )
            for i, row in zip(chosen, output[:, width - len(prefix) :].tolist(), strict=True):
                rows[i] = row[: row.index(eos)] if eos in row else row
                decoder.decode(rows[i], skip_special_tokens=True)
        return rows

    return generate_all


def compare(model: Any, prompts: Sequence[np.ndarray], ours: list[list[int]], peers: list[list[int]], eos: int) -> None:
    """Prints how many rows are the same, and how many of the others part at a near tie."""
    same = [a == b for a, b in zip(ours, peers, strict=True)]
    ties = 0
    for prompt, a, b, equal in zip(prompts, ours, peers, same, strict=True):
        if equal:
            continue
        at = next(i for i, (x, y) in enumerate(zip([*a, eos], [*b, eos], strict=False)) if x != y)
        ids = torch.tensor([[*prompt.tolist(), *a[:at]]], device=model.device)
        with torch.no_grad():
            logits = model(ids).logits[0, -1]
        pair = logits[[[*a, eos][at], [*b, eos][at]]]
        ties += bool((pair[0] - pair[1]).abs() < NEAR)
    wrong = len(same) - sum(same) - ties
    print(f"same tokens: {sum(same)} of {len(same)} rows; {ties} part at a near tie; {wrong} differ")


def timed(owner: Any, name: str, seconds: list[float]) -> Callable[[], None]:
    """Times every call of a method from now on; call the result to stop."""
    original = getattr(owner, name)

    def method(*args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = original(*args, **options)
        seconds.append(time.perf_counter() - start)
        return result

    setattr(owner, name, method)
    return lambda: setattr(owner, name, original)


def show_trie_share(generate_all: Callable[[], Any]) -> None:
    """What the trie takes of a step in which it decides; medians over one batch."""
    choosing: list[float] = []
    feeding: list[float] = []
    stop = [timed(ItemTrie, "choose", choosing), timed(PromptBatch, "feed", feeding)]
    generate_all()
    for undo in stop:
        undo()
    trie, step = statistics.median(choosing), statistics.median(feeding)
    print(f"trie: {1e3 * trie:.2f} ms of a step's {1e3 * (trie + step):.2f} ms, {trie / (trie + step):.1%}")


def read_options(about: str | None) -> tuple[argparse.Namespace, dict[str, Any], list[str]]:
    """Options, keys and config files of the command line; prompts are without recalled products.

    Args:
        about: the text of --help.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="footwear")
    parser.add_argument("--users", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    options, keys = parser.parse_known_args()
    given = read_keys(["--memory_products=0", *keys])
    return options, given, str(given.pop("config_files", "")).split()


def main() -> None:
    """Prints users per second of the three, what is equal, the trie's share and the two ratios."""
    options, keys, files = read_options(__doc__)
    torch.set_num_threads(min(2, torch.get_num_threads()))
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(get_model("LLMFashionRec").model, options.dataset, files, keys, ["CORE"])
        pipeline, prompts = make_prompts(config, options.users, Path(folder))
        measure(make_model(config, pipeline), pipeline, prompts, config, options.rounds)


def measure(model: Any, pipeline: Pipeline, prompts: list[np.ndarray], config: LLMFashionConfig, rounds: int) -> None:
    """Runs the three sides by turns and prints what they gave."""
    builder, titles = pipeline.inference.builder, pipeline.inference.texts.catalogue.titles
    decoder, prefix, allowed_ids = builder.decoder, builder.id_prefix.tolist(), builder.allowed_ids
    print(
        f"{len(prompts)} prompts of {min(map(len, prompts))} to {max(map(len, prompts))} tokens, {len(titles)} items, "
        f"IDs of up to {max(map(len, builder.item_ids))} tokens, {common_prefix(prompts)} tokens shared, "
        f"{config['quantization']} weights, {torch.get_num_threads()} threads"
    )
    recording = Recording(decoder)
    plain = settings.decoding_settings(config, 0)

    def ours(response_title: Any) -> Callable[[Sequence[np.ndarray]], list[str]]:
        chosen = replace(plain, response_title=response_title)
        return make_generator(model, recording, chosen, allowed_ids, prefix, titles)

    sides: dict[str, Callable] = {
        "peer": make_peer(model, decoder, builder, plain.batch_size, plain.max_new_tokens),
        "generate": ours("generated"),
        "lookup": ours("catalogue"),
    }
    for side in sides.values():
        side(prompts[:2])  # nobody pays for the first call
    made: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            made[name] = side(prompts)
            seconds[name].append(time.perf_counter() - start)
        print(", ".join(f"{name} {len(prompts) / taken[-1]:.1f} users/s" for name, taken in seconds.items()))
    compare(
        model, prompts, [recording.model_inputs[text] for text in made["generate"]], made["peer"], decoder.eos_token_id
    )
    heads = [text.split(SEPARATOR)[0] for text in made["generate"]]
    assert heads == [text.split(SEPARATOR)[0] for text in made["lookup"]], "lookup says other IDs"
    show_trie_share(lambda: sides["generate"](prompts[: plain.batch_size]))
    for name, label in (("lookup", "ratio lookup"), ("generate", "ratio")):
        ratios = [peer / own for peer, own in zip(seconds["peer"], seconds[name], strict=True)]
        print(f"{label} {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
