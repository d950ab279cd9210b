import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.prompt.texts import UNTITLED, DatasetTexts, sanitize
from tests.helpers.fakes import ITEM, write_tiny
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


def test_attributes_as_words(tmp_path, caplog):
    """Those of every dataset, then those that prompts show; the start of a long one."""
    header, *rows = ITEM.splitlines()
    cells = ["soft wool " * 20_000 + "\t\t", "wool\twarm\t", *["\t\t"] * 4]
    item = "\n".join([f"{header}\tfabric:token\tfeel:token\tuse:token", *map("\t".join, zip(rows, cells, strict=True))])
    write_tiny(tmp_path, item=item + "\n")
    keys = {"data_path": str(tmp_path), "topk": [3], "valid_metric": "NDCG@3"}

    def texts(*shown):
        config = load_config(LLMFashionRec, "tiny", overrides={**keys, "prompt_attributes": list(shown)})
        return DatasetTexts(make_loaders(config).dataset)

    assert texts().attribute_text(1) == texts("brand").attribute_text(1) == "boots Norda red 8"
    caplog.clear()
    found = texts("feel", "fabric", "size", "use")
    assert found.attribute_text(1) == "boots Norda red 8 warm wool"
    assert found.attribute_text(0) == f"bags Lumo gold {'soft wool ' * 20}".strip()
    assert [record.message for record in caplog.records if record.message.startswith("tiny.item")] == [
        "tiny.item: no item has a value in use"
    ]
