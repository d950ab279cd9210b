"""Constrained greedy decoding against `model.generate` with `prefix_allowed_tokens_fn`, on the same batches.

    python benchmarks/generate.py [--dataset footwear] [--data_path dataset] [--template compact] [--users 128]
        [--batch 64] [--rounds 3] [--device cpu]

A Falcon of the shipped backbone's size with random weights, which hardly ever ends a title before the 40 tokens are
said, so that early stopping gains nothing here. Both sides get the same prompts (100 to 216 tokens, the template's
instruction first, then items of the dataset) in the same batches from the longest to the shortest, keep keys and
values, and run on at most two threads. The peer's function looks the tokens so far up in a dict that is built
beforehand, and behind an ID returns one tensor of all tokens. The answers are compared token by token; rows whose first
difference is between two tokens of logits less than 1e-4 apart are counted apart. The last lines are
`ratio lookup <number>`, for `title_source: lookup`, and `ratio <number>`, for generated titles.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from recbole_llmfashion.llm.constrain import IdTrie
from recbole_llmfashion.llm.embedded import new_embedded, train_tokenizer
from recbole_llmfashion.llm.examples import left_pad
from recbole_llmfashion.llm.generate import DecodingSettings, make_generator
from recbole_llmfashion.llm.run import Run, common_prefix
from recbole_llmfashion.prompt.response import ID_PREFIX, SEPARATOR
from recbole_llmfashion.prompt.template import get_template

NEW_TOKENS, NEAR, ITEM = 40, 1e-4, 20


class Recording:
    """A tokenizer that remembers what it was asked to decode, in order."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id, self.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        self.seen: dict[str, list[int]] = {}

    def decode(self, ids: list[int], **options: Any) -> str:
        """The tokenizer's text."""
        text = self._tokenizer.decode(ids, **options)
        self.seen[text] = ids
        return text


def make_prompts(tokenizer: Any, items: Sequence[str], template: str, users: int) -> list[np.ndarray]:
    """An instruction and random items, cut to a length drawn from 100 to 216, but not below ITEM tokens of items."""
    words, rng = get_template(template), np.random.default_rng(0)
    instruction, answer = tokenizer([words.instruction, words.answer], add_special_tokens=False)["input_ids"]
    pieces = tokenizer([f"{words.clicked} {item}" for item in items], add_special_tokens=False)["input_ids"]
    prompts = []
    for length in rng.integers(100, 217, users):
        shown = np.concatenate([pieces[i] for i in rng.integers(0, len(pieces), 30)])
        room = max(ITEM, length - len(instruction) - len(answer))
        prompts.append(np.r_[instruction, shown[:room], answer])
    return prompts


def make_peer(model: Any, tokenizer: Any, spoken: Sequence[list[int]], prefix: list[int], batch: int) -> Callable:
    """`model.generate` over the prompts, longest first: a list of token rows, the prefix first, cut at the end."""
    table: dict[tuple[int, ...], set[int]] = {}
    for sequence in spoken:
        for i, token in enumerate(sequence):
            table.setdefault(tuple(sequence[:i]), set()).add(token)
    allowed = {said: sorted(tokens) for said, tokens in table.items()}
    everything, deepest = torch.arange(len(tokenizer), device=model.device), max(map(len, spoken))
    eos = tokenizer.eos_token_id

    def ask(prompts: Sequence[np.ndarray]) -> list[list[int]]:
        rows: list[list[int]] = [[]] * len(prompts)
        order = np.argsort([-len(prompt) for prompt in prompts], kind="stable")
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            ids, mask = left_pad([np.r_[prompts[i], prefix] for i in chosen], tokenizer.pad_token_id)
            width = ids.shape[1]

            def may(_: int, so_far: torch.Tensor, width: int = width) -> Any:
                if len(so_far) - width >= deepest:
                    return everything
                return allowed.get(tuple(so_far[width:].tolist()), everything)

            output = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=NEW_TOKENS - len(prefix),
                do_sample=False,
                use_cache=True,
                eos_token_id=eos,
                pad_token_id=tokenizer.pad_token_id,
                prefix_allowed_tokens_fn=may,
            )
            for i, row in zip(chosen, output[:, width - len(prefix) :].tolist(), strict=True):
                rows[i] = row[: row.index(eos)] if eos in row else row
                tokenizer.decode(rows[i], skip_special_tokens=True)
        return rows

    return ask


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


def show_trie_share(ask: Callable[[], Any]) -> None:
    """What the trie takes of a step in which it decides; medians over one batch."""
    choosing: list[float] = []
    feeding: list[float] = []
    stop = [timed(IdTrie, "choose", choosing), timed(Run, "feed", feeding)]
    ask()
    for undo in stop:
        undo()
    trie, step = statistics.median(choosing), statistics.median(feeding)
    print(f"trie: {1e3 * trie:.2f} ms of a step's {1e3 * (trie + step):.2f} ms, {trie / (trie + step):.1%}")


def main() -> None:
    """Prints users a second of the three, what is equal, the trie's share and the two ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="footwear")
    parser.add_argument("--data_path", default="dataset")
    parser.add_argument("--template", default="compact")
    parser.add_argument("--users", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))

    file = Path(options.data_path) / options.dataset / f"{options.dataset}.item"
    frame = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)
    ids, titles = frame["item_id:token"].tolist(), frame["title:token"].tolist()
    items = [f"{token} | {title}" for token, title in zip(ids, titles, strict=True)]
    words = get_template(options.template)
    texts = [f"{words.clicked} {item}" for item in items] + [
        words.instruction,
        words.answer,
        ID_PREFIX + SEPARATOR,
    ] * 99
    tokenizer = train_tokenizer(texts, 4096)
    model = new_embedded(len(tokenizer), 128, 4, 4, seed=0).to(options.device).eval()
    prefix, separator = tokenizer([ID_PREFIX, SEPARATOR])["input_ids"]
    spoken = [[*said, *separator] for said in tokenizer([f" {token}" for token in ids])["input_ids"]]
    prompts = make_prompts(tokenizer, items, options.template, options.users)
    print(
        f"{len(prompts)} prompts of {min(map(len, prompts))} to {max(map(len, prompts))} tokens, {len(ids)} items, IDs "
        f"of up to {max(map(len, spoken)) - len(separator)} tokens, {common_prefix(prompts)} tokens shared, "
        f"{torch.get_num_threads()} threads"
    )

    recording = Recording(tokenizer)

    def ours(title_source: Any) -> Callable[[Sequence[np.ndarray]], list[str]]:
        settings = DecodingSettings(max_new_tokens=NEW_TOKENS, batch_size=options.batch, title_source=title_source)
        return make_generator(model, recording, settings, spoken, prefix, titles)

    sides: dict[str, Callable] = {
        "peer": make_peer(model, tokenizer, spoken, prefix, options.batch),
        "generate": ours("generate"),
        "lookup": ours("lookup"),
    }
    for side in sides.values():
        side(prompts[:2])  # nobody pays for the first call
    made: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            made[name] = side(prompts)
            seconds[name].append(time.perf_counter() - start)
        print(", ".join(f"{name} {len(prompts) / taken[-1]:.1f} users/s" for name, taken in seconds.items()))
    compare(model, prompts, [recording.seen[text] for text in made["generate"]], made["peer"], tokenizer.eos_token_id)
    heads = [text.split(SEPARATOR)[0] for text in made["generate"]]
    assert heads == [text.split(SEPARATOR)[0] for text in made["lookup"]], "lookup says other IDs"
    show_trie_share(lambda: sides["generate"](prompts[: options.batch]))
    for name, label in (("lookup", "ratio lookup"), ("generate", "ratio")):
        ratios = [peer / own for peer, own in zip(seconds["peer"], seconds[name], strict=True)]
        print(f"{label} {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
