"""Views as HTML, every text through autoescape. What it looks like is in parts.html.j2 and style.css.

Gradio's HTML component reads its content as a template of its own, so the marks of such a template are written as
character references too: no title and no query can become code of the page.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import needs_extra
from recbole_llmfashion.serving.demo.view import Answered, Moment

with needs_extra("demo"):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent
MARKS = {"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;", "@": "&#64;"}
# every list that can give an item, and the two that are made of others; each has a color in style.css
LISTS = {
    "beams": "LLM's likeliest",
    "id": "ID list",
    "title": "title list",
    "session": "near the session (CORE)",
    "memory": "memory",
    "clip": "CLIP",
    "popularity": "popular",
    "mixup": "mixup",
    "final": "final ranking",
}


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _part(name: str, **told: Any) -> str:
    macro = getattr(_environment().get_template("parts.html.j2").module, name)
    text = str(macro(names=LISTS, **told))
    for mark, reference in MARKS.items():
        text = text.replace(mark, reference)
    return text


def style() -> str:
    """The page's own rules."""
    return (HERE / "style.css").read_text(encoding="utf-8")


def head(model: str, dataset: str, facts: Sequence[str]) -> str:
    """The top of the page: what answers, and a few facts of it."""
    return _part("head", model=model, dataset=dataset, facts=facts)


def timeline(moments: Sequence[Moment], full: bool) -> str:
    """What the customer did; `full`, where a visit takes no more."""
    return _part("timeline", moments=moments, full=full)


def results(heading: str) -> str:
    """What stands above the products to click."""
    return _part("results", heading=heading)


def answer(response: str, done: Answered | None, actions: int) -> str:
    """The answer as far as it has come, its checks once it is done.

    Args:
        actions: how many it was asked about; without one nothing is asked.
    """
    return _part("answer", response=response, done=done, actions=actions)


def prompt(done: Answered) -> str:
    """The prompt with the memory's products marked."""
    return _part("prompt", shown=done.prompt)


def lists(done: Answered, actions: int) -> str:
    """The lists side by side; `actions` as in `answer`."""
    return _part("lists", lists=done.lists, actions=actions)


def problem(text: str) -> str:
    """One line that says what is wrong."""
    return _part("problem", text=text)
