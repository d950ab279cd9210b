"""The words around the data: what an instruction, an action, a memory line and a date look like (paper, section 4.2).

Every piece of a prompt begins with a line break or a space and ends with neither, so that a byte-level tokenizer cuts
between pieces and the ids of a prompt are the concatenated ids of its pieces. A template's marks are the line break,
the field bar "|" and the tokenizer's special tokens; `sanitize` takes them out of text that comes from the data.
Templates know no users and no ids.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.texts import sanitize


@dataclass(frozen=True)
class Template:
    """Fixed words; every field begins with a line break or is the prompt's start."""

    name: str
    instruction: str
    clicked: str
    purchased: str
    searched: str
    id_mark: str
    title_mark: str
    memory: str
    memory_line: str
    now: str
    answer: str

    @staticmethod
    def attribute(name: str, value: str) -> str:
        """A key-value pair behind an item's title; nothing for an empty value."""
        return f" | {name}: {value}" if value else ""

    @staticmethod
    def date(text: str) -> str:
        """A coarse date behind an action."""
        return f" | {text}"

    def moment(self, text: str) -> str:
        """The line with the date of the recommendation."""
        return f"{self.now} {text}"


_REQUIREMENTS = (
    "Keep to the order of the actions: later ones say more about what comes next.",
    "Compare the products that the customer looked at: an attribute that varies among them shows what is being chosen.",
    "Weigh what matters in fashion: season, occasion, holiday, color and size.",
    "Prefer the top products of the last search.",
)

TEMPLATES = {
    "paper": Template(
        name="paper",
        instruction="### Instruction: You recommend products in a fashion shop. From the customer's actions below, "
        "in order of time, predict the product that will be purchased next. "
        + " ".join(_REQUIREMENTS)
        + " Answer in one line, in exactly this form: product ID: the ID, title: the title\n### Input:",
        clicked="\nclicked",
        purchased="\npurchased",
        searched="\nsearched for:",
        id_mark=" product ID:",
        title_mark=" | title:",
        memory="\ntop products of the last search:",
        memory_line="\n-",
        now="\ndate of the recommendation:",
        answer="\n### Response:",
    ),
    "compact": Template(
        name="compact",
        instruction="Predict the next purchase.",
        clicked="\nclick",
        purchased="\nbuy",
        searched="\nsearch",
        id_mark="",
        title_mark=" |",
        memory="\ntop",
        memory_line="\n-",
        now="\nnow",
        answer="\nbuy",
    ),
}


def get_template(name: str) -> Template:
    """A template by name; an unknown name is a UserError."""
    if name not in TEMPLATES:
        raise UserError(f"template: expected one of {', '.join(TEMPLATES)}, found '{name}'")
    return TEMPLATES[name]


def prompt_safe_ids(item_ids: Sequence[str], special_tokens: Iterable[str]) -> list[str]:
    """Item tokens as they stand in prompts and answers: harmless, unique, without white space or comma.

    An id that holds a mark of the template is rewritten; where that makes two equal, the later gets a number.
    """
    special_tokens = tuple(special_tokens)
    allowed_ids = [sanitize(item_id, special_tokens, joiner="_", limit=len(item_id) * 2) or "_" for item_id in item_ids]
    taken = set(allowed_ids)
    if len(taken) == len(allowed_ids):
        return allowed_ids
    seen: set[str] = set()
    for i, name in enumerate(allowed_ids):
        number = 1
        while name in seen or (number > 1 and name in taken):
            number += 1
            name = f"{allowed_ids[i]}_{number}"
        seen.add(name)
        allowed_ids[i] = name
    return allowed_ids
