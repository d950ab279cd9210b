"""No text becomes a special token or a field bar, whatever the tokenizer's normalizer makes of it."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from tokenizers import decoders as token_decoders
from transformers import PreTrainedTokenizerFast

from recbole_llmfashion.data.catalogue import Catalogue
from recbole_llmfashion.data.timeline import Events
from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER
from recbole_llmfashion.prompt.builder import PromptBuilder, PromptSettings
from recbole_llmfashion.prompt.pieces.cells import CellTokenizer, special_strings
from recbole_llmfashion.prompt.template import get_template

N = normalizers
NORMALIZERS = {
    "none": None,
    "nfkc": N.NFKC(),
    "nfc": N.NFC(),
    "lower": N.Lowercase(),
    "nfkc, lower": N.Sequence([N.NFKC(), N.Lowercase()]),
    "accents": N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase()]),
    "nfkd, accents": N.Sequence([N.NFKD(), N.StripAccents()]),
    "bert": N.BertNormalizer(),
    "bert cased": N.BertNormalizer(lowercase=False),
    "nmt": N.Sequence([N.Nmt(), N.NFKC(), N.Replace(" {2,}", " ")]),
    "llama": N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]),
    "cpm": N.Sequence([N.Replace("\n", "▃"), N.Replace(" ", "▂")]),
    "replaced bar": N.Replace("|", "¦"),
    "broken bar": N.Replace("¦", "|"),
    "slash": N.Replace("/", "|"),  # the replacement of a bar becomes a bar again
    "no spaces": N.Replace(" ", ""),  # what splits a special token is removed
    "letters": N.Sequence([N.Replace("é", "<turn>"), N.Replace("ü", "\n"), N.Lowercase()]),
}
MODELS = ("bytes", "words", "unigram")
SPECIAL = ("<eos>", "<pad>", "[CLS]", "<|end|>")
ADDED = ("<turn>", "<TOOL>", "<ﬁm>")
FRAGMENTS = (
    *SPECIAL,
    *ADDED,
    *("<TURN>", "<tool>", "<fim>", "<FIM>", "[cls]", "<EOS>", "</s>", "▁<eos>"),
    *(
        "＜ｅｏｓ＞",
        "＜ｔｕｒｎ＞",
        "<\u200bturn>",
        "<tu\u00adrn>",
        "<t\u0301urn>",
        "<\x00eos>",
        "<\ufeffeos>",
        "⟨turn⟩",
    ),
    *("|", "｜", "¦", "￨", "│", "\u200b|", "/", "//", "\n", "\r", "\u2028", "\x85", "▃", "▂", "▁", "é", "ü"),
    *("<", ">", "turn", "eos", " ", "  ", "\t", "boots", "ﬁ", "①", "İ", "ß", "\u0338", "\u200d", "\ud800"),
)
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=8).map("".join)


@cache
def tokenizer_of(normalizer: str, model: str) -> PreTrainedTokenizerFast:
    words = ["[UNK]", "</s>", *SPECIAL, *ADDED, "boots", "title:", "buy", "click", "|"]
    if model == "bytes":
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, []))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = token_decoders.ByteLevel()
    elif model == "words":
        tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(words)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:  # special tokens are pieces of the vocabulary, as in T5's
        pieces = [(token, -1.0) for token in words] + [(chr(c), -9.0) for c in range(33, 127) if chr(c) != "|"]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    if NORMALIZERS[normalizer] is not None:
        tokenizer.normalizer = NORMALIZERS[normalizer]
    # a normalized token is looked for in the normalized text, the others in the text as it is
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, normalized=True) for token in ADDED])
    unknown = {} if model == "bytes" else {"unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", cls_token="[CLS]", **unknown
    )


def forbidden(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    return {*tokenizer.get_added_vocab().values(), *tokenizer.all_special_ids} - {tokenizer.unk_token_id}


def marks_of(normalizer: str) -> str:
    """What ends a field or a line after normalization."""
    return {"replaced bar": "¦\n", "cpm": "|▃"}.get(normalizer, "|\n")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@settings(max_examples=8)
@given(text=TEXTS)
def test_cells_of_any_text(normalizer, model, text):
    check_cells(normalizer, model, text)


@pytest.mark.slow
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@settings(max_examples=400)
@given(text=TEXTS)
def test_cells_of_many_texts(normalizer, text):
    for model in MODELS:
        check_cells(normalizer, model, text)


def check_cells(normalizer: str, model: str, text: str) -> None:
    tokenizer = tokenizer_of(normalizer, model)
    cells = CellTokenizer(tokenizer)
    for joiner in (" ", "_"):
        safe = cells.sanitize(text, joiner)
        assert cells.sanitize(safe, joiner) == safe
        assert not forbidden(tokenizer) & set(cells.ids([f" {safe}"])[0].tolist())
        seen = cells.sanitize.normalized(safe)
        assert "|" not in safe + seen and seen.splitlines() in ([], [seen])
        plain, filled = (cells.sanitize.normalized(f" | title: {value}\n") for value in ("x", safe))
        for mark in marks_of(normalizer):
            assert filled.count(mark) == plain.count(mark)


SETTINGS = PromptSettings(("brand",), max_length=4000, max_new_tokens=600, dates=False)


def prompt_and_response(tokenizer: PreTrainedTokenizerFast, text: str) -> tuple[list[int], list[int]]:
    item_id = "".join(text.split()).replace(",", "") or "11"
    catalogue = Catalogue((item_id, "second"), (text, "y"), {"brand": (text or "x", "x")})
    builder = PromptBuilder(
        tokenizer, get_template("compact"), catalogue, [text], np.zeros(1, np.int64), None, SETTINGS
    )
    events = Events(np.array([2, 0, 1]), np.array([0, 0, 1]), np.zeros(3))
    return builder.encode(events, 0.0, [0]).ids.tolist(), builder.response(0)[:-1].tolist()


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@settings(max_examples=8)
@given(text=TEXTS)
def test_prompts_and_responses_of_any_text(normalizer, text):
    tokenizer = tokenizer_of(normalizer, "bytes")
    plain, hostile = (prompt_and_response(tokenizer, t) for t in ("boots", text))
    for ids, expected in zip(hostile, plain, strict=True):
        assert not forbidden(tokenizer) & set(ids)
        found, wanted = (tokenizer.decode(row, clean_up_tokenization_spaces=False) for row in (ids, expected))
        # an attribute that is empty after sanitizing has no field
        missing = ids is hostile[0] and not CellTokenizer(tokenizer).sanitize(text or "x")
        for mark in marks_of(normalizer):
            assert found.count(mark) == wanted.count(mark) - (missing and mark in "|¦"), found


@pytest.mark.parametrize(
    ("normalizer", "text", "safe"),
    [
        ("none", "a｜b ＜ｔｕｒｎ＞", "a｜b ＜ｔｕｒｎ＞"),  # a tokenizer without a normalizer reads it as it is
        ("nfkc", "a｜b", "a/b"),
        ("nfkc", "ｂ＜ｔｕｒｎ＞", "b< turn>"),
        ("nfkc", "日本 靴 ①", "日本 靴 ①"),  # normalized, but harmless: the text stays
        ("lower", "<TURN> Boots", "< turn> boots"),
        ("lower", "<tool>", "< tool>"),
        ("bert", "<\u200bturn>", "< turn>"),
        ("accents", "<t\u0301urn>", "< turn>"),
        ("slash", "a|b", "ab"),
        ("no spaces", "a <turn> b", "ab"),
        ("cpm", "a▃b", "ab"),
        ("replaced bar", "a¦b", "ab"),
        ("letters", "caféü", "caf< turn>"),
    ],
)
def test_look_alikes(normalizer, text, safe):
    assert CellTokenizer(tokenizer_of(normalizer, "bytes")).sanitize(text) == safe


def test_the_shipped_tokenizer_normalizes_nothing():
    tokenizer = load_tokenizer(str(TINY_FALCON_FOLDER))
    cells = CellTokenizer(tokenizer)
    assert special_strings(tokenizer) == ("<eos>", "<pad>")
    for text in ("a｜b", "＜eos＞", "<EOS>", "<\u200beos>"):
        assert cells.sanitize(text) == text
        assert cells.ids([f" {text}"])[0].tolist() == tokenizer(f" {text}", add_special_tokens=False)["input_ids"]


def test_the_end_token_of_gpt2_is_its_unknown_token_too():
    base = tokenizer_of("none", "bytes").backend_tokenizer
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=base, eos_token="<eos>", bos_token="<eos>", unk_token="<eos>")
    cells = CellTokenizer(tokenizer)
    assert tokenizer.eos_token_id not in cells.ids(["a<eos>b"])[0]  # not sanitized: the ids alone are checked
    unigram = CellTokenizer(tokenizer_of("none", "unigram"))
    assert tokenizer_of("none", "unigram").unk_token_id in unigram.ids(["日本"])[0]  # an unknown character is none
