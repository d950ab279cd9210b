"""Generates responses to prompts: sampled as in the paper, or constrained to the catalogue's IDs; and beam search."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import each_batch
from recbole_llmfashion.llm.eval_mode import eval_mode
from recbole_llmfashion.llm.generation.beam_search import beam_search
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.device_search import device_search
from recbole_llmfashion.llm.generation.greedy_search import greedy_search
from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.generation.sampling import sample
from recbole_llmfashion.llm.layers.fused_lora import fast_lora
from recbole_llmfashion.prompt.builder import PromptBuilder


class Generator:
    """Prompts to texts, and to the best sequences of a trie.

    Args:
        model: a causal LM or a peft model around one.
        tokenizer: its own.
        settings: see DecodingSettings.
        trie: for constrained decoding, what may follow the forced prefix.
        forced_prefix: tokens that each constrained response begins with; they count against max_new_tokens.
        complete: the whole response by the place of a sequence of the trie, for `response_title: catalogue`.

    Attributes:
        prefix_length: tokens that the prompts of all calls have in common at their start (`share_prefix`); None to find
            it in each call.
        at_once: `complete` where one token tells the sequences apart and settles the response, so that of the likeliest
            of `best` it gives what `__call__` would say; else None.

    Raises:
        UserError: a trie deeper than the tokens that the prefix leaves, or a temperature or top_p out of range.
        ValueError: a trie or prefix without constrained decoding, or the other way round; an eos within the trie;
            `complete` without catalogue titles, or the other way round.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        settings: DecodingSettings,
        trie: ItemTrie | None = None,
        forced_prefix: Sequence[int] = (),
        complete: Callable[[int], str] | None = None,
    ) -> None:
        constrained = settings.decoding == "constrained"
        if constrained != (trie is not None) or (not constrained and len(forced_prefix)):
            raise ValueError("constrained decoding needs a trie; sampling takes neither a trie nor a forced prefix")
        if (settings.response_title == "catalogue") != (complete is not None):
            raise ValueError("`complete` is needed with response_title catalogue, and only then")
        if settings.temperature <= 0 or not 0 < settings.top_p <= 1:
            raise UserError(
                f"temperature, top_p: expected above 0 and 0 to 1, found {settings.temperature}, {settings.top_p}"
            )
        self.model, self.tokenizer, self.settings, self._complete = model, tokenizer, settings, complete
        self.lm = CausalLMRunner(model, tokenizer.pad_token_id)
        self.prefix = np.asarray(forced_prefix, np.int64)
        left = settings.max_new_tokens - len(self.prefix)
        if trie is not None and trie.depth > left:
            raise UserError(
                f"max_new_tokens: {settings.max_new_tokens} leaves {left} tokens for an ID; "
                f"the longest ID needs {trie.depth}, set it higher"
            )
        if trie is not None and bool((trie.tokens == tokenizer.eos_token_id).any()):
            raise ValueError("an ID in the trie contains the end token")
        self.trie = trie.to(self.lm.device) if trie is not None else None
        self.prefix_length: int | None = None
        self.at_once = complete if trie is not None and trie.levels == 1 else None

    def __call__(
        self, prompts: Sequence[np.ndarray], show_progress: bool = False, on_text: Callable[[str], None] | None = None
    ) -> list[str]:
        """The texts of `generate`."""
        return [text for text, _ in self.generate(prompts, show_progress, on_text)]

    def generate(
        self, prompts: Sequence[np.ndarray], show_progress: bool = False, on_text: Callable[[str], None] | None = None
    ) -> list[tuple[str, int | None]]:
        """Response texts in the order of the prompts, each with its item's place in the trie.

        A text is cut at the end token, special tokens skipped; the item is None where decoding is not constrained.

        Args:
            on_text: called after each step with the text so far of the first prompt of a batch; not called where the
                title is the catalogue's.

        Raises:
            UserError: not even one prompt fits into the memory of the GPU.
        """
        if self._complete is not None and self.trie is not None and self.trie.size == 1:
            return [(self._complete(0), 0)] * len(prompts)
        responses: list[tuple[str, int | None]] = [("", None)] * len(prompts)
        decode = self._sampling(prompts, on_text) if self.trie is None else self._greedy(prompts, self.trie, on_text)

        def decode_batch(chosen: np.ndarray) -> None:
            for i, response in zip(chosen, decode(chosen), strict=True):
                responses[i] = response

        with torch.random.fork_rng():
            torch.manual_seed(self.settings.seed)
            self._each_batch(prompts, decode_batch, show_progress)
        return responses

    def best(
        self, prompts: Sequence[np.ndarray], count: int, show_progress: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest sequences of the trie after each prompt and the forced prefix, see `beam_search`.

        Args:
            count: K, at least 1; also the width of the beam.

        Returns:
            int64 [P, K] indices of the sequences that the trie was built from, best first, -1 if it has fewer than K;
            float32 [P, K] log-probabilities, -inf there.

        Raises:
            ValueError: no trie, or count below 1.
            UserError: as `__call__`; a model with unknown position embeddings.
        """
        if self.trie is None or count < 1:
            raise ValueError("beam search needs a trie and a count of 1 or more")
        trie, room = self.trie, min(count, self.trie.size) * (self.trie.levels - 1)
        items, scores = np.full((len(prompts), count), -1), np.full((len(prompts), count), -np.inf, np.float32)
        begin = self._begin(prompts, self.prefix, room)

        def search(chosen: np.ndarray) -> None:
            best = beam_search(begin(chosen), trie, count)
            items[chosen], scores[chosen] = (array.cpu().numpy() for array in best)

        self._each_batch(prompts, search, show_progress)
        return items, scores

    def share_prefix(self, tokens: int) -> None:
        """Sets the common prefix of all later calls; each prompt is then computed as in one call with all of them."""
        self.prefix_length = tokens if self.lm.full else 0

    def _each_batch(
        self, prompts: Sequence[np.ndarray], process: Callable[[np.ndarray], None], show_progress: bool
    ) -> None:
        with eval_mode(self.model), fast_lora(self.model), torch.no_grad():
            each_batch([len(prompt) for prompt in prompts], self.settings.batch_size, process, show_progress)

    def _begin(
        self, prompts: Sequence[np.ndarray], suffix: np.ndarray, room: int
    ) -> Callable[[np.ndarray], PromptBatch]:
        """Indices of prompts to their batch; the common prefix is computed once, with the first batch."""
        shared: list[Any] = []
        shared_length = self.lm.shareable(prompts) if self.prefix_length is None else self.prefix_length

        def begin(chosen: np.ndarray) -> PromptBatch:
            if not shared:
                shared.append(self.lm.share(prompts[0][:shared_length]))
            return PromptBatch(self.lm, shared[0], [np.r_[prompts[i][shared_length:], suffix] for i in chosen], room)

        return begin

    def _greedy(
        self, prompts: Sequence[np.ndarray], trie: ItemTrie, on_text: Callable[[str], None] | None
    ) -> Callable[[np.ndarray], list[tuple[str, int | None]]]:
        opening, state = trie.opening()
        forced = np.r_[self.prefix, np.asarray(opening, np.int64)]
        complete, eos = self._complete, self.tokenizer.eos_token_id
        steps = self.settings.max_new_tokens - len(forced) if complete is None else trie.depth - len(opening)
        begin = self._begin(prompts, forced, steps)

        def read(row: torch.Tensor) -> str:
            return self._text(np.r_[forced, row.cpu().numpy()], len(forced))

        search = greedy_search if self.lm.device.type == "cpu" else device_search
        report = None if on_text is None or complete is not None else lambda rows: on_text(read(rows[0]))

        def decode(chosen: np.ndarray) -> list[tuple[str, int | None]]:
            tokens, items = search(begin(chosen), trie, state, steps, eos, complete is not None, report)
            # the opening of a trie of one sequence is all of it, so no step decides for it
            places = items.tolist() if trie.size > 1 else [0] * len(chosen)
            if complete is not None:
                return [(complete(item), item) for item in places]
            texts = [read(row) for row in tokens.cpu()]
            return [(text, item if item >= 0 else None) for text, item in zip(texts, places, strict=True)]

        return decode

    def _sampling(
        self, prompts: Sequence[np.ndarray], on_text: Callable[[str], None] | None
    ) -> Callable[[np.ndarray], list[tuple[str, int | None]]]:
        steps, temperature, top_p = self.settings.max_new_tokens, self.settings.temperature, self.settings.top_p
        begin, eos = self._begin(prompts, self.prefix, steps), self.tokenizer.eos_token_id
        report = None if on_text is None else lambda rows: on_text(self._text(rows[0].cpu().numpy()))

        def decode(chosen: np.ndarray) -> list[tuple[str, int | None]]:
            tokens = sample(begin(chosen), steps, temperature, top_p, eos, report)
            return [(self._text(row), None) for row in tokens.cpu().numpy()]

        return decode

    def _text(self, ids: np.ndarray, forced: int = 0) -> str:
        """Of tokens whose first `forced` may hold the end token as any other."""
        ends = np.flatnonzero(ids[forced:] == self.tokenizer.eos_token_id)
        cut = forced + int(ends[0]) if len(ends) else len(ids)
        return self.tokenizer.decode(ids[:cut].tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False)


def make_generator(
    model: Any,
    tokenizer: Any,
    settings: DecodingSettings,
    allowed_ids: Sequence[Sequence[int]],
    prefix: Sequence[int],
    titles: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> Generator:
    """The generator for these settings.

    Args:
        allowed_ids: what the constraint allows, an item's id tokens and the separator after them; sampling reads none.
        prefix: the tokens before the id, forced when the decoding is constrained.
        titles: of the items, for `response_title: catalogue`.
        names: the items' IDs, for messages.

    Raises:
        ValueError: catalogue titles without a title for each item.
    """
    if settings.decoding == "sample":
        return Generator(model, tokenizer, settings)
    trie = ItemTrie.build(allowed_ids, int(model.get_input_embeddings().weight.shape[0]), names)
    if settings.response_title == "generated":
        return Generator(model, tokenizer, settings, trie, prefix)
    if titles is None or len(titles) != len(allowed_ids):
        raise ValueError("response_title catalogue needs the title of each item")

    def complete(item: int) -> str:
        id_text = tokenizer.decode([*prefix, *allowed_ids[item]], clean_up_tokenization_spaces=False)
        return f"{id_text} {titles[item]}"

    return Generator(model, tokenizer, settings, trie, prefix, complete)


def item_generator(
    model: Any,
    builder: PromptBuilder,
    settings: DecodingSettings,
    titles: Sequence[str],
    items: Sequence[int] | np.ndarray | None = None,
) -> Generator:
    """The generator whose responses name the items of a prompt builder, or some of them.

    Args:
        builder: writes the prompts; holds the items' token ids.
        titles: of all items of the builder, by position.
        items: positions of the items that may be named; None for all. A generated item's place counts into these.
    """
    allowed_ids, names = builder.allowed_ids, builder.item_names
    if items is not None:
        allowed_ids, titles = [allowed_ids[i] for i in items], [titles[i] for i in items]
        names = [names[i] for i in items]
    prefix = builder.id_prefix.tolist()
    return make_generator(model, builder.decoder, settings, allowed_ids, prefix, titles, names)
