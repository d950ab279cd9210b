"""xgrammar and llguidance as sides of constraint.py: the IDs as a grammar over tokens, and a step of a batch.

Equal sub-trees are one rule of the grammar. Both peers need that at these sizes: llguidance refuses more than 65,525
symbols, and the time that xgrammar takes to compile grows faster than the rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Ids:
    """What may be generated: token sequences of items and the vocabulary that they are from.

    Args:
        sequences: per item, the tokens of its ID and of the separator.
        vocab: the text of each token, as bytes that differ.
        end: the token that ends a text; no sequence has it.
    """

    sequences: list[tuple[int, ...]]
    vocab: list[bytes]
    end: int


def grammar(sequences: Sequence[tuple[int, ...]], define: str, root: str, tokens: Callable[[list[int]], str]) -> str:
    """The sequences as rules over tokens; states with the same continuations are one rule.

    Args:
        sequences: token ids; none is a prefix of another.
        define: what stands between a rule's name and its alternatives.
        root: name of the first rule.
        tokens: how the grammar writes one of several tokens, ascending.
    """
    rules: dict[tuple[tuple[tuple[int, ...], str], ...], str] = {}

    def state(group: list[tuple[int, ...]], depth: int) -> str:
        """The rule for what may follow the first `depth` tokens, which the sorted group shares; empty at its end."""
        if len(group[0]) == depth:
            return ""
        after: dict[str, list[int]] = {}
        for token, part in groupby(group, key=lambda row: row[depth]):
            after.setdefault(state(list(part), depth + 1), []).append(token)
        body = tuple(sorted((tuple(chosen), child) for child, chosen in after.items()))
        return rules.setdefault(body, f"state{len(rules)}")

    first = state(sorted(sequences), 0)
    lines = {
        name: " | ".join(f"{tokens(list(chosen))} {child}".rstrip() for chosen, child in body)
        for body, name in rules.items()
    }
    return "".join(f"{root if name == first else name}{define}{body}\n" for name, body in lines.items())


def ranges(tokens: Sequence[int]) -> str:
    """Ascending numbers with runs joined.

    >>> ranges([3, 5, 6, 7])
    '3,5-7'
    """
    cuts = np.flatnonzero(np.diff(tokens) != 1) + 1
    parts = [(int(run[0]), int(run[-1])) for run in np.split(np.asarray(tokens), cuts)]
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


class Masked:
    """A peer: one matcher per row, which fills the row's bits of a mask int32 [B, V / 32] and takes the token."""

    def __init__(self, size: int, make: Callable[[], Any]) -> None:
        import xgrammar

        self.size, self.make = size, make
        self.matchers: list[Any] = []
        self.new_mask, self.apply = xgrammar.allocate_token_bitmask, xgrammar.apply_token_bitmask_inplace

    def fill(self, matchers: list[Any], rows: list[int]) -> None:
        """Sets the mask's rows."""
        raise NotImplementedError

    def accept(self, matchers: list[Any], tokens: list[int]) -> None:
        """Moves each matcher by one token."""
        raise NotImplementedError

    def start(self, rows: int) -> None:
        """See constraint.Ours."""
        self.matchers = [self.make() for _ in range(rows)]  # llguidance cannot reset one that has ended
        self.mask = self.new_mask(rows, self.size)

    def step(self, logits: Tensor, active: list[int]) -> Tensor:
        """See constraint.Ours."""
        everyone = len(active) == len(self.matchers)
        matchers = self.matchers if everyone else [self.matchers[i] for i in active]
        self.fill(matchers, active)
        self.apply(logits, self.mask, indices=None if everyone else active)
        tokens = (logits if everyone else logits[active]).argmax(1)
        self.accept(matchers, tokens.tolist())
        return tokens

    def allowed(self, prefix: Sequence[int]) -> set[int]:
        """See constraint.Ours."""
        self.start(1)
        for token in prefix:
            self.accept(self.matchers, [token])
        self.fill(self.matchers, [0])
        bits = np.unpackbits(self.mask.numpy().view(np.uint8), bitorder="little")
        return set(np.flatnonzero(bits[: self.size]).tolist())


class XGrammar(Masked):
    """xgrammar: an EBNF grammar whose terminals are `Token(..)`; its kernels for a batch."""

    def __init__(self, ids: Ids, text: str, threads: int) -> None:
        import xgrammar as xgr

        info = xgr.TokenizerInfo(ids.vocab, xgr.VocabType.RAW, vocab_size=len(ids.vocab), stop_token_ids=[ids.end])
        compiled = xgr.GrammarCompiler(info, max_threads=threads, cache_enabled=False).compile_grammar(text)
        self.batch = xgr.BatchGrammarMatcher(max_threads=threads)
        super().__init__(len(ids.vocab), lambda: xgr.GrammarMatcher(compiled))

    @staticmethod
    def grammar(sequences: Sequence[tuple[int, ...]]) -> str:
        """The sequences in its notation."""
        return grammar(sequences, " ::= ", "root", lambda tokens: f"Token({', '.join(map(str, tokens))})")

    def fill(self, matchers: list[Any], rows: list[int]) -> None:
        """See Masked."""
        self.batch.batch_fill_next_token_bitmask(matchers, self.mask, rows)

    def accept(self, matchers: list[Any], tokens: list[int]) -> None:
        """See Masked."""
        assert all(self.batch.batch_accept_token(matchers, tokens))


@dataclass(frozen=True)
class Words:
    """The vocabulary as llguidance reads it; no text is tokenized, since the grammar holds tokens.

    All tokens are special: it does not take another token where the grammar forces one by its id.
    """

    tokens: list[bytes]
    eos_token_id: int
    special_token_ids: Sequence[int]
    bos_token_id: int | None = None

    def __call__(self, text: bytes) -> list[int]:
        """No tokens."""
        return []


class LLGuidance(Masked):
    """llguidance: a Lark grammar whose terminals are `<[..]>`, limits raised.

    xgrammar's kernel applies its masks, which have the same layout: its own is compiled by torch at the first call.
    """

    def __init__(self, ids: Ids, text: str, threads: int) -> None:
        import llguidance as llg
        from llguidance import _tokenizer
        from llguidance import torch as masks

        words = _tokenizer.TokenizerWrapper(Words(ids.vocab, ids.end, range(len(ids.vocab))))
        tokenizer = llg.LLTokenizer(words, n_vocab=len(ids.vocab), eos_token=ids.end, slices=[])
        most = 2**31
        limits = llg.LLParserLimits(
            max_items_in_row=most, initial_lexer_fuel=most, step_lexer_fuel=most, step_max_items=most,
            max_lexer_states=most, max_grammar_size=most,
        )  # fmt: skip
        matcher = llg.LLMatcher(tokenizer, text, limits=limits)
        if matcher.is_error():
            raise RuntimeError(matcher.get_error().splitlines()[0])
        self.executor, self.fill_all = llg.LLExecutor(num_threads=threads), masks.fill_next_token_bitmask_par
        super().__init__(len(ids.vocab), matcher.deep_copy)

    @staticmethod
    def grammar(sequences: Sequence[tuple[int, ...]]) -> str:
        """The sequences in its notation."""
        return grammar(sequences, ": ", "start", lambda tokens: f"<[{ranges(tokens)}]>")

    def fill(self, matchers: list[Any], rows: list[int]) -> None:
        """See Masked."""
        self.fill_all(self.executor, list(zip(matchers, rows, strict=True)), self.mask)

    def accept(self, matchers: list[Any], tokens: list[int]) -> None:
        """See Masked."""
        for matcher, token in zip(matchers, tokens, strict=True):
            assert matcher.consume_token(token)
