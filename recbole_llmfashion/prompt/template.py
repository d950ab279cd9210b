"""Prompt templates: the fixed words of instruction, actions, memory and dates (paper, section 4.2).

Each piece of a prompt starts with a line break or a space and ends with neither. A byte-level tokenizer therefore never
merges across pieces, and the ids of a prompt are the concatenated ids of its pieces. Line breaks, the separator "|" and
the tokenizer's special tokens belong to the template; `TextSanitizer` removes them from text of the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.texts import TextSanitizer


@dataclass(frozen=True)
class Template:
    """The fixed words of a prompt.

    Args:
        name: the value of the key prompt_template.
        instruction: start of a prompt with products of the memory.
        instruction_without_memory: start of every other prompt; does not mention the products.
        clicked, purchased, searched: verbs of the actions.
        id_mark, title_mark: words before an item's ID and title.
        memory, memory_line: heading of the memory, and start of a product's line.
        now: words before the date of the recommendation.
        answer: end of the prompt.
    """

    name: str
    instruction: str
    instruction_without_memory: str
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
        """An attribute after an item's title; empty for an empty value.

        >>> Template.attribute("color", "red")
        ' | color: red'
        """
        return f" | {name}: {value}" if value else ""

    @staticmethod
    def date(text: str) -> str:
        """The date after an action.

        >>> Template.date("Dec, near Christmas")
        ' | Dec, near Christmas'
        """
        return f" | {text}"

    def moment(self, text: str) -> str:
        """The line with the date of the recommendation."""
        return f"{self.now} {text}"


_REQUIREMENTS = (
    "Keep to the order of the actions: later ones say more about what comes next.",
    "Compare the products that the customer looked at: an attribute that varies among them shows what is being chosen.",
    "Weigh what matters in fashion: season, occasion, holiday, color and size.",
)
_MEMORY_REQUIREMENT = "Prefer the top products of the last search."


def _full_instruction(*requirements: str) -> str:
    """The instruction of the template `paper`: task, execution requirements, format indicator."""
    task = (
        "### Instruction: You recommend products in a fashion shop. From the customer's actions below, in order of "
        "time, predict the product that will be purchased next."
    )
    response_format = "Answer in one line, in exactly this form: product ID: the ID, title: the title"
    return f"{' '.join([task, *_REQUIREMENTS, *requirements, response_format])}\n### Input:"


TEMPLATES = {
    "paper": Template(
        name="paper",
        instruction=_full_instruction(_MEMORY_REQUIREMENT),
        instruction_without_memory=_full_instruction(),
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
        instruction_without_memory="Predict the next purchase.",
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
    """The template of a name.

    Raises:
        UserError: an unknown name.
    """
    if name not in TEMPLATES:
        raise UserError(f"prompt_template: expected one of {', '.join(TEMPLATES)}, found '{name}'")
    return TEMPLATES[name]


def prompt_safe_ids(item_ids: Sequence[str], sanitize: TextSanitizer) -> list[str]:
    """Item IDs as they appear in prompts and responses: sanitized, and unique as the tokenizer reads them.

    If two IDs become equal, the later one gets a number.

    Args:
        item_ids: distinct IDs without white space and comma.
        sanitize: of the tokenizer.

    >>> prompt_safe_ids(["B12", "a|b", "a/b"], TextSanitizer(["<eos>"]))
    ['B12', 'a/b', 'a/b_2']
    """
    names = [sanitize(item_id, joiner="_", limit=len(item_id) * 2) or "_" for item_id in item_ids]
    taken = set(map(sanitize.normalized, names))
    if len(taken) == len(names):
        return names
    seen: set[str] = set()
    for i, name in enumerate(names):
        number = 1
        while sanitize.normalized(name) in seen or (number > 1 and sanitize.normalized(name) in taken):
            number += 1
            name = f"{names[i]}_{number}"
        seen.add(sanitize.normalized(name))
        names[i] = name
    return names
