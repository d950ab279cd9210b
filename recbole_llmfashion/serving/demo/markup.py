"""Renders views as HTML with autoescape, from parts.html.j2 and style.css.

Gradio's HTML component interprets its content as a template, so the special characters of such templates are written as
character references as well: no title or query can become code of the page.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import needs_extra
from recbole_llmfashion.serving.demo.view import Moment, Product, ResponseView

with needs_extra("demo"):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent
MARKS = {"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;", "@": "&#64;"}
# all single lists and the two combined ones; each has a color in style.css
LISTS = {
    "beams": "LLM beams",
    "id": "ID list",
    "title": "title list",
    "encoder": "sentence encoder",
    "session": "similar to the session",
    "neighbors": "taken by the same customers",
    "words": "the same words",
    "image": "similar pictures",
    "memory": "memory",
    "taken": "taken before",
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


def _part(name: str, **arguments: Any) -> str:
    macro = getattr(_environment().get_template("parts.html.j2").module, name)
    text = str(macro(names=LISTS, **arguments))
    for mark, reference in MARKS.items():
        text = text.replace(mark, reference)
    return text


def style() -> str:
    """The style sheet of the page."""
    return (HERE / "style.css").read_text(encoding="utf-8")


def head(model: str, dataset: str, facts: Sequence[str]) -> str:
    """The header of the page: model, dataset and a few facts."""
    return _part("head", model=model, dataset=dataset, facts=facts)


def timeline(moments: Sequence[Moment], full: bool) -> str:
    """The timeline of the customer's actions.

    Args:
        moments: the actions.
        full: whether the visit accepts no more actions.
    """
    return _part("timeline", moments=moments, full=full)


def results(heading: str, products: Sequence[Product] = ()) -> str:
    """The heading of the products, and their pictures in a row if they have any."""
    return _part("results", heading=heading, products=products)


def answer(response: str, done: ResponseView | None, actions: int) -> str:
    """The response generated so far, with checks once it is complete.

    Args:
        response: text of the response.
        done: the complete view; None during generation.
        actions: number of actions in the prompt; without actions there is no prompt.
    """
    return _part("answer", response=response, done=done, actions=actions)


def prompt(done: ResponseView) -> str:
    """The prompt, with the recalled products marked."""
    return _part("prompt", shown=done.prompt)


def lists(done: ResponseView, actions: int) -> str:
    """The lists side by side.

    Args:
        done: the complete view.
        actions: as in `answer`.
    """
    return _part("lists", lists=done.lists, actions=actions)


def problem(text: str) -> str:
    """An error message."""
    return _part("problem", text=text)
