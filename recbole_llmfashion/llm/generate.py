"""Prompts to response texts, sampled as in the paper or constrained to the catalogue's IDs.

Knows token ids, a tokenizer for the way back to text, and an optional trie; not what a response means.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from tqdm import tqdm
from transformers import GenerationConfig, LogitsProcessorList

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.constrain import IdTrie, TrieLogitsProcessor
from recbole_llmfashion.llm.examples import left_pad


@dataclass(frozen=True)
class DecodingSettings:
    """How responses are decoded (section 5.1).

    Args:
        decoding: sample, the paper's temperature and top-p; constrained, greedy within the trie, then greedy.
        max_new_tokens: most tokens of a response, a forced prefix included.
        temperature, top_p: of sample.
        batch_size: prompts at once.
        seed: of sample; the same call gives the same texts.
    """

    decoding: Literal["sample", "constrained"] = "constrained"
    max_new_tokens: int = 64
    temperature: float = 0.05
    top_p: float = 0.95
    batch_size: int = 64
    seed: int = 0


def generation_config(settings: DecodingSettings, new_tokens: int, eos_id: int, pad_id: int) -> GenerationConfig:
    """Every setting that decoding reads, so that a model's own generation_config.json decides nothing."""
    sample = settings.decoding == "sample"
    return GenerationConfig(
        max_new_tokens=new_tokens,
        min_new_tokens=0,
        do_sample=sample,
        temperature=settings.temperature if sample else 1.0,
        top_p=settings.top_p if sample else 1.0,
        top_k=0 if sample else 50,  # read by sampling alone, where 0 is off; 50 is the value that warns of nothing
        typical_p=1.0,
        epsilon_cutoff=0.0,
        eta_cutoff=0.0,
        num_beams=1,
        num_return_sequences=1,
        repetition_penalty=1.0,
        encoder_repetition_penalty=1.0,
        length_penalty=1.0,
        no_repeat_ngram_size=0,
        encoder_no_repeat_ngram_size=0,
        remove_invalid_values=False,
        renormalize_logits=False,
        use_cache=True,
        return_dict_in_generate=False,
        output_scores=False,
        eos_token_id=eos_id,
        pad_token_id=pad_id,
    )


@contextmanager
def _own_config(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Takes the model's own settings away: `generate` fills whatever is None from them (suppress_tokens, for one)."""
    lm = model.get_base_model() if hasattr(model, "get_base_model") else model
    original, was_training = lm.generation_config, model.training
    lm.generation_config = config
    model.eval()
    try:
        yield
    finally:
        lm.generation_config = original
        model.train(was_training)


class Generator:
    """Prompts to texts.

    Args:
        model: a causal LM or a peft model around one.
        tokenizer: its own.
        settings: see DecodingSettings.
        trie: for constrained decoding, what may follow the forced prefix.
        forced_prefix: tokens that each constrained response begins with; they count against max_new_tokens.

    Raises:
        UserError: a trie deeper than the tokens that the prefix leaves, or a temperature or top_p out of range.
        ValueError: a trie or prefix without constrained decoding, or the other way round; an eos within the trie.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        settings: DecodingSettings,
        trie: IdTrie | None = None,
        forced_prefix: Sequence[int] = (),
    ) -> None:
        constrained = settings.decoding == "constrained"
        if constrained != (trie is not None) or (not constrained and len(forced_prefix)):
            raise ValueError("constrained decoding takes a trie, and only it takes a trie or a forced prefix")
        if settings.temperature <= 0 or not 0 < settings.top_p <= 1:
            raise UserError("temperature must be above 0 and top_p from 0 (not included) to 1")
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.device = next(model.parameters()).device
        self.prefix = np.asarray(forced_prefix, np.int64)
        self.new_tokens = settings.max_new_tokens - len(self.prefix)
        self.trie = trie.to(self.device) if trie is not None else None
        if trie is not None and trie.depth > self.new_tokens:
            raise UserError(
                f"max_new_tokens: {settings.max_new_tokens} leaves {self.new_tokens} tokens for an ID, "
                f"the longest needs {trie.depth}"
            )
        if trie is not None and bool((trie.tokens == tokenizer.eos_token_id).any()):
            raise ValueError("an ID in the trie holds the end token")
        self.config = generation_config(settings, self.new_tokens, tokenizer.eos_token_id, tokenizer.pad_token_id)

    def __call__(self, prompts: Sequence[np.ndarray], show_progress: bool = False) -> list[str]:
        """Responses in the order of the prompts, cut at the end token, special tokens skipped.

        Batches run from the longest prompts to the shortest, so that memory runs out at once or never.
        """
        order = np.argsort([-len(prompt) for prompt in prompts], kind="stable")
        texts = [""] * len(prompts)
        with (
            _own_config(self.model, self.config),
            torch.no_grad(),
            torch.random.fork_rng(),
            tqdm(total=len(prompts), desc="generating", unit="prompt", disable=not show_progress) as bar,
        ):
            torch.manual_seed(self.settings.seed)
            for start in range(0, len(order), self.settings.batch_size):
                chosen = order[start : start + self.settings.batch_size]
                for i, ids in zip(chosen, self._batch([prompts[i] for i in chosen]), strict=True):
                    texts[i] = self._text(ids)
                bar.update(len(chosen))
        return texts

    def _batch(self, prompts: Sequence[np.ndarray]) -> np.ndarray:
        """New tokens [B, T], the forced prefix first."""
        rows = [np.concatenate([prompt, self.prefix]) for prompt in prompts]
        ids, mask = left_pad(rows, self.tokenizer.pad_token_id)
        processors = LogitsProcessorList([TrieLogitsProcessor(self.trie)] if self.trie is not None else [])
        output = self.model.generate(
            input_ids=ids.to(self.device),
            attention_mask=mask.to(self.device),
            generation_config=self.config,
            logits_processor=processors,
        )
        return output[:, ids.shape[1] - len(self.prefix) :].cpu().numpy()

    def _text(self, ids: np.ndarray) -> str:
        ends = np.flatnonzero(ids[len(self.prefix) :] == self.tokenizer.eos_token_id)
        cut = len(self.prefix) + int(ends[0]) if len(ends) else len(ids)
        return self.tokenizer.decode(ids[:cut].tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False)


def make_generator(
    model: Any,
    tokenizer: Any,
    settings: DecodingSettings,
    spoken: Sequence[Sequence[int]],
    prefix: Sequence[int],
) -> Generator:
    """The generator that the settings ask for.

    Args:
        spoken: what the constraint allows, an item's id tokens and the separator after them; sampling reads none.
        prefix: the tokens before the id, forced when the decoding is constrained.
    """
    if settings.decoding == "sample":
        return Generator(model, tokenizer, settings)
    return Generator(model, tokenizer, settings, IdTrie.build(spoken, len(tokenizer)), prefix)
