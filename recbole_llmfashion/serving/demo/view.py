"""The content of the page for one response, as plain texts and numbers.

Five lists are shown side by side: the final ranking of the run, the beams of the LLM, the ID list, the title list, and
the mixup of the last two (docs/method.md, stage 3). Each item of the final ranking names its source list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from recbole_llmfashion.prompt.builder import Prompt
from recbole_llmfashion.prompt.texts import start_of
from recbole_llmfashion.serving.demo.visit import Visit
from recbole_llmfashion.serving.recommender import Explanation
from recbole_llmfashion.serving.state import RankedReply, ServingState

K = 10  # items of a list
DONE = {"click": "clicked", "purchase": "bought", "search": "searched"}


@dataclass(frozen=True)
class Product:
    """A displayed item.

    Args:
        item: item id.
        title: title, as in the catalogue.
        about: attributes, joined by commas.
        source: source list of an item in the final ranking, otherwise empty.
        picture: a data URI, or empty.
    """

    item: str
    title: str
    about: str
    source: str = ""
    picture: str = ""


@dataclass(frozen=True)
class ListView:
    """A displayed list.

    Args:
        name: final, beams, id, title or mixup; determines the color.
        title: heading.
        note: description, or the reason why the list is empty.
        products: best first.
    """

    name: str
    title: str
    note: str
    products: list[Product]


@dataclass(frozen=True)
class PromptView:
    """A displayed prompt, divided into the lines of the memory and the text around them.

    Args:
        before: text before the lines of the memory.
        memory: lines of the memory.
        after: text after them.
        products: products in the lines of the memory, in order.
        tokens: number of tokens of the prompt.
    """

    before: str
    memory: str
    after: str
    products: list[Product]
    tokens: int


@dataclass(frozen=True)
class Check:
    """One check of a response.

    Args:
        name: what is checked.
        result: the result in words.
        good: whether the result is good.
    """

    name: str
    result: str
    good: bool


@dataclass(frozen=True)
class ResponseView:
    """The content of the page for one response; without a prompt, `prompt` is None and there are no checks."""

    prompt: PromptView | None
    response: str
    checks: list[Check]
    lists: list[ListView]


@dataclass(frozen=True)
class Moment:
    """An action in the timeline: time (UTC), kind of action, and title or query."""

    time: str
    done: str
    what: str


def timeline(visit: Visit, state: ServingState) -> list[Moment]:
    """The actions of a visit, oldest first."""
    titles = state.pool.catalogue.titles
    return [
        Moment(_clock(action.time), DONE[action.kind], titles[action.item] if action.item >= 0 else action.query)
        for action in visit.actions
    ]


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def product(state: ServingState, position: int, source: str = "") -> Product:
    """The displayed item of a catalogue position."""
    catalogue = state.pool.catalogue
    about = [start_of(texts[position]) for texts in catalogue.attributes.values() if texts[position]]
    item, images = catalogue.item_ids[position], state.run.images
    picture = images.data_uri(item) if images is not None else ""
    return Product(item, catalogue.titles[position], ", ".join(about), source, picture)


def label(state: ServingState, position: int) -> str:
    """A unique one-line name of a product."""
    item = product(state, position)
    return f"{item.title} ({item.item})"


def response_view(explanation: Explanation) -> ResponseView:
    """The content of the page for an explanation."""
    state, reply = explanation.state, explanation.reply
    prompt = None if reply.prompt is None else _prompt_view(state, reply.prompt)
    return ResponseView(prompt, reply.response.text, [] if prompt is None else checks(reply), lists(explanation))


def _prompt_view(state: ServingState, prompt: Prompt) -> PromptView:
    """Divides the text where the decoded prefixes of the ids end."""

    def decode(end: int) -> str:
        return state.decoder.decode(prompt.ids[:end].tolist(), clean_up_tokenization_spaces=False)

    text = decode(len(prompt.ids))
    begin, end = (_common_prefix(decode(position), text) for position in prompt.memory)
    products = [product(state, position) for position in prompt.items[prompt.acted :]]
    return PromptView(text[:begin], text[begin:end], text[end:], products, len(prompt.ids))


def _common_prefix(first: str, second: str) -> int:
    """Length of the common prefix of two texts."""
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def checks(reply: RankedReply) -> list[Check]:
    """Whether a response is well-formed and names a recommendable item, and which fallback replaces it if not."""
    ranked, parsed = reply.ranked, reply.response.parsed
    has_id, has_title = bool(ranked.has_id[0]), bool(ranked.has_title[0])
    results = [
        Check("Well formed", "yes" if parsed.well_formed else "no", parsed.well_formed),
        Check("ID known", "yes" if has_id else "no", has_id),
        Check("Fallback", _fallback(reply, has_id, has_title), has_id and has_title),
    ]
    if has_id and reply.prompt is not None:
        in_prompt = int(reply.live[int(ranked.positions[0])]) in reply.prompt.items
        results.insert(2, Check("ID in the prompt", "yes" if in_prompt else "no", True))
    return results


def _fallback(reply: RankedReply, has_id: bool, has_title: bool) -> str:
    if has_id and has_title:
        return "none"
    if has_id or has_title:
        return "no title list" if has_id else "no ID list"
    return "memory, then popular products" if bool((reply.ranked.recalled > 0).any()) else "popular products"


def lists(explanation: Explanation) -> list[ListView]:
    """The final ranking, followed by single lists and their mixup."""
    state, reply = explanation.state, explanation.reply
    settings = state.run.ranking_settings
    final = [item for item in reply.top(K + len(explanation.masked)) if item not in explanation.masked][:K]
    masked = ", without items of the session" if state.run.mask_history else ""
    views = [
        ListView(
            "final",
            "Final ranking",
            f"ranking of the run: {settings.ranking}{masked}",
            [product(state, item, reply.list_of(item)) for item in final],
        )
    ]
    if reply.prompt is None:
        return views
    has_id, has_title = bool(reply.ranked.has_id[0]), bool(reply.ranked.has_title[0])
    beams = reply.live[reply.response.items[:K]].tolist()
    views += [
        ListView("beams", "LLM beams", *_note_and_products("by beam search", beams, state, "num_beams is 0")),
        _ranked(explanation, "id", "ID list", "near the generated ID", has_id),
        _ranked(explanation, "title", "Title list", "near the generated title", has_title),
        _ranked(explanation, "mixup", "Mixup", f"{settings.m} of the ID list, then title list", has_id or has_title),
    ]
    return views


def _note_and_products(note: str, items: Sequence[int], state: ServingState, empty: str) -> tuple[str, list[Product]]:
    return (note, [product(state, item) for item in items]) if items else (empty, [])


def _ranked(explanation: Explanation, name: str, title: str, note: str, available: bool) -> ListView:
    """The first items of one list or the mixup; the ID list is limited to its meaningful depth."""
    state, reply = explanation.state, explanation.reply
    assert name in ("id", "title", "mixup")
    if not available:
        empty = f"the response has no {'known ID' if name == 'id' else 'title'}"
        return ListView(name, title, *_note_and_products(note, [], state, empty))
    depth = min(K, state.rankers.id_depth) if name == "id" else K
    order = state.ranked_by(reply, name).final.top(depth)[0].numpy()  # type: ignore[arg-type]
    return ListView(name, title, note, [product(state, item) for item in reply.live[order].tolist()])
