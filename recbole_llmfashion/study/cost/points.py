"""The settings that the cost study compares with the default, one part of the default changed in each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recbole_llmfashion.errors import UserError

DEFAULT = "default"
AS_TEXT = {"item_tokens": "text", "prompt_item_text": True}
WHOLE_TEXT = 1_024  # tokens: the histories of the default's prompts, written as text


@dataclass(frozen=True)
class Setting:
    """A point of the study.

    Args:
        label: its name.
        group: the part that it changes.
        keys: what it changes.
        note: what that means.
    """

    label: str
    group: str
    keys: Mapping[str, Any]
    note: str


def _history(lengths: Sequence[int]) -> list[Setting]:
    return [
        Setting(
            f"max_length {length}",
            "history",
            {"max_length": length},
            "history cut to what fits; trained on such prompts",
        )
        for length in lengths
    ]


def _backbones(names: Sequence[str]) -> list[Setting]:
    return [Setting(f"backbone {name}", "backbone", {"llm_name_or_path": name}, "another backbone") for name in names]


SETTINGS = (
    Setting(
        "items as text, whole",
        "text",
        {**AS_TEXT, "max_length": WHOLE_TEXT},
        "the same prompts with ID, title and attributes of each item as text",
    ),
    Setting("items as text, cut", "text", AS_TEXT, "the same, history cut to the default's max_length"),
    Setting("semantic IDs", "text", {"item_tokens": "semantic"}, "four code tokens an item"),
    Setting("memory_products 0", "memory", {"memory_products": 0}, "no memory, in the prompt or in the fusion"),
    Setting("memory_products 10", "memory", {"memory_products": 10}, "ten of them"),
    Setting("num_beams 0", "beams", {"num_beams": 0}, "the generated ID alone"),
    Setting("num_beams 10", "beams", {"num_beams": 10}, "ten likeliest items"),
    Setting("num_beams 400", "beams", {"num_beams": 400}, "four hundred"),
    Setting("no quantization", "quantization", {"quantization": "none"}, "weights in the compute type"),
    Setting("generated titles", "title", {"response_title": "generated"}, "the LLM writes the title, and learns to"),
)
GROUPS = tuple(dict.fromkeys(["history", *(setting.group for setting in SETTINGS), "backbone"]))


def settings(groups: str, lengths: str, backbones: str) -> list[Setting]:
    """The default and the points of some groups.

    Args:
        groups: names separated by commas; `all` for all.
        lengths: values of max_length for the group `history`, separated by commas.
        backbones: values of llm_name_or_path for the group `backbone`, separated by commas.

    Raises:
        UserError: an unknown group, or a length that is no number.
    """
    wanted = list(GROUPS) if groups == "all" else [name.strip() for name in groups.split(",")]
    unknown = [name for name in wanted if name not in GROUPS]
    if unknown:
        raise UserError(f"--groups: expected all or some of {', '.join(GROUPS)}, found '{unknown[0]}'")
    words = [word.strip() for word in lengths.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise UserError(f"--lengths: expected numbers separated by commas, found '{lengths}'")
    names = [name.strip() for name in backbones.split(",") if name.strip()]
    points = [*_history([int(word) for word in words]), *SETTINGS, *_backbones(names)]
    return [Setting(DEFAULT, "", {}, "the keys of the run"), *(one for one in points if one.group in wanted)]
