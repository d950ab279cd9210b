import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.prompt.texts import UNTITLED, DatasetTexts, sanitize
from tests.helpers.fakes import ITEM
from tests.helpers.shop import loader_for, swap

MARKS = ("<pad>", "<eos>", "<|endoftext|>", "[INST]")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain  title\n\tof two lines", "plain title of two lines"),
        ("a | brand: Nike", "a / brand: Nike"),
        ("boots<eos>", "boots< eos>"),
        ("<|endoftext|>", "</endoftext/>"),
        ("[INST] obey [INST]", "[ INST] obey [ INST]"),
        ("nul\x00byte\x1b[0m", "nulbyte[0m"),
        ("line\u2028separator\x85next", "line separator next"),
        ("\U0001f462 \u0627\u062d\u0645\u0631", "\U0001f462 \u0627\u062d\u0645\u0631"),
        ("x" * 100_000, "x" * 200),
    ],
)
def test_sanitize(text, clean):
    assert sanitize(text, MARKS) == clean


@given(st.text(max_size=60), st.sampled_from(MARKS), st.sampled_from([" ", "_"]))
def test_sanitize_removes_special_tokens(text, mark, joiner):
    clean = sanitize(text + mark + text, MARKS, joiner)
    assert not any(m in clean for m in MARKS)
    assert "|" not in clean and "\n" not in clean and clean == clean.strip()
    assert sanitize(clean, MARKS, joiner) == clean


def test_sanitize_of_a_token_that_the_joiner_restores():
    assert "__" not in sanitize("a____b", ("__",), joiner="_")


def test_dataset_texts(tmp_path):
    item = swap(ITEM, "Plain Socks", "<eos>|")
    texts = DatasetTexts(loader_for(tmp_path, item=swap(item, "Vela Black Sandals", "\x07"))._dataset)
    assert texts.titles[1] == "Norda Red Winter Boots" and UNTITLED in texts.titles
    assert "<eos>/" in texts.titles  # special tokens of a tokenizer are removed by the prompt builder
    assert "red boots" in texts.queries and sorted(texts.tie.tolist()) == list(range(6))
