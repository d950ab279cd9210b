import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.template import get_template, prompt_safe_ids
from recbole_llmfashion.prompt.texts import TextSanitizer

MARKS = TextSanitizer(("<pad>", "<eos>", "<|endoftext|>", "[INST]"))


def test_prompt_safe_ids():
    assert prompt_safe_ids(["1", "2"], MARKS) == ["1", "2"]
    assert prompt_safe_ids(["a|b", "a/b", "a|b_2"], MARKS) == ["a/b", "a/b_3", "a/b_2"]
    assert prompt_safe_ids(["<eos>"], MARKS) == ["<_eos>"]


def test_prompt_safe_ids_are_distinct_for_the_tokenizer():
    lower = TextSanitizer((), str.lower)
    assert prompt_safe_ids(["B1", "b1", "b1_2", "c"], lower) == ["B1", "b1_3", "b1_2", "c"]


def test_unknown_template():
    with pytest.raises(UserError, match="prompt_template: expected one of paper, compact, found 'long'"):
        get_template("long")


def test_templates():
    compact, paper = get_template("compact"), get_template("paper")
    assert (compact.name, compact.instruction, compact.answer) == ("compact", "Predict the next purchase.", "\nbuy")
    assert paper.instruction.startswith("### Instruction: ") and paper.answer == "\n### Response:"
    for template in (compact, paper):
        for name, words in vars(template).items():
            assert name in ("name", "instruction", "instruction_without_memory") or not words or words[0] in " \n", name
            assert words == words.rstrip(), name


def test_requirements_of_the_paper():
    """Order, comparison (C2), fashion attributes (C3) and the top products of a search (C4), then the format."""
    instruction = get_template("paper").instruction
    texts = ("Keep to the order", "an attribute that varies", "season, occasion, holiday", "Prefer the top products")
    places = [instruction.index(text) for text in (*texts, "product ID: the ID, title: the title")]
    assert places == sorted(places)


def test_only_a_prompt_with_memory_mentions_the_products():
    compact, paper = get_template("compact"), get_template("paper")
    assert compact.instruction_without_memory == compact.instruction
    assert paper.instruction.replace(" Prefer the top products of the last search.", "") == (
        paper.instruction_without_memory
    )
    assert "last search" not in paper.instruction_without_memory


def test_pieces_of_a_template():
    template = get_template("paper")
    assert template.attribute("color", "red") == " | color: red" and template.attribute("color", "") == ""
    assert template.date("Mar") == " | Mar" and template.moment("Mar") == "\ndate of the recommendation: Mar"
