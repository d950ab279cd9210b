"""What the page shows of one answer: plain texts and numbers of what serving/ found out. Asks nothing, knows no HTML.

Five lists stand side by side, each the answer read in its own way: the run's own final ranking, the LLM's likeliest
items, the ID list, the title list, and the mixup of these two (docs/method.md, stage 3). An item of the final ranking
carries the name of the list that gave it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from recbole_llmfashion.prompt.builder import Prompt
from recbole_llmfashion.serving.demo.visit import Visit
from recbole_llmfashion.serving.recommender import Explanation
from recbole_llmfashion.serving.state import RankedReply, ServingState

K = 10  # items of a list
DONE = {"click": "clicked", "purchase": "bought", "search": "searched"}


@dataclass(frozen=True)
class Product:
    """An item as the page names it.

    Args:
        item: its id.
        title: as in the catalogue.
        about: its attributes, joined.
        given: the list that gave it, in the final ranking alone.
    """

    item: str
    title: str
    about: str
    given: str = ""


@dataclass(frozen=True)
class ListedItem:
    """One list.

    Args:
        name: final, beams, id, title or mixup, which has a color.
        title: its heading.
        note: how it comes about, or why it is empty.
        products: best first.
    """

    name: str
    title: str
    note: str
    products: list[Product]


@dataclass(frozen=True)
class ShownList:
    """A prompt, cut where the memory's lines begin and end.

    Args:
        before, memory, after: together the whole text.
        products: what the memory's lines name, in their order.
        tokens: how many.
    """

    before: str
    memory: str
    after: str
    products: list[Product]
    tokens: int


@dataclass(frozen=True)
class Check:
    """One thing that an answer is checked for: its name, what was found, and whether that is good."""

    name: str
    found: str
    good: bool


@dataclass(frozen=True)
class Answered:
    """All that the page shows of one answer; prompt None and no checks where nothing was asked."""

    prompt: ShownList | None
    response: str
    checks: list[Check]
    lists: list[ListedItem]


@dataclass(frozen=True)
class Moment:
    """An action of the timeline: when (UTC), what was done, and with what."""

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


def product(state: ServingState, position: int, given: str = "") -> Product:
    """An item by its catalogue position."""
    catalogue = state.pool.catalogue
    about = [texts[position] for texts in catalogue.attributes.values() if texts[position]]
    return Product(catalogue.item_ids[position], catalogue.titles[position], ", ".join(about), given)


def label(state: ServingState, position: int) -> str:
    """A product in one line; no two products have the same."""
    found = product(state, position)
    return f"{found.title} ({found.item})"


def answered(look: Explanation) -> Answered:
    """See the class."""
    state, reply = look.state, look.reply
    shown = None if reply.prompt is None else _shown(state, reply.prompt)
    return Answered(shown, reply.response.text, [] if shown is None else checks(reply), lists(look))


def _shown(state: ServingState, prompt: Prompt) -> ShownList:
    """Cut by decoding ever more of the ids: a text's beginning is told by its first ids."""

    def decode(end: int) -> str:
        return state.decoder.decode(prompt.ids[:end].tolist(), clean_up_tokenization_spaces=False)

    text = decode(len(prompt.ids))
    begin, end = (_common(decode(place), text) for place in prompt.memory)
    products = [product(state, position) for position in prompt.items[prompt.acted :]]
    return ShownList(text[:begin], text[begin:end], text[end:], products, len(prompt.ids))


def _common(first: str, second: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = zip(first, second, strict=False)
    return next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def checks(reply: RankedReply) -> list[Check]:
    """Whether an answer is of the form, names an item that may be recommended, and which fallback stands in for it."""
    ranked, answer = reply.ranked, reply.response.parsed
    has_id, has_title = bool(ranked.has_id[0]), bool(ranked.has_title[0])
    found = [
        Check("Well formed", "yes" if answer.well_formed else "no", answer.well_formed),
        Check("ID known", "yes" if has_id else "no", has_id),
        Check("Fallback", _fallback(reply, has_id, has_title), has_id and has_title),
    ]
    if has_id and reply.prompt is not None:
        shown = int(reply.live[int(ranked.positions[0])]) in reply.prompt.items
        found.insert(2, Check("ID in the prompt", "yes" if shown else "no", True))
    return found


def _fallback(reply: RankedReply, has_id: bool, has_title: bool) -> str:
    if has_id and has_title:
        return "none"
    if has_id or has_title:
        return "no title list" if has_id else "no ID list"
    return "the memory, then what is popular" if bool((reply.ranked.recalled > 0).any()) else "what is popular"


def lists(look: Explanation) -> list[ListedItem]:
    """The final ranking, then what it comes from."""
    state, reply = look.state, look.reply
    mixing = state.run.ranking_settings
    final = [item for item in reply.top(K + len(look.masked)) if item not in look.masked][:K]
    taken = ", without what the customer took" if state.run.mask_history else ""
    listed = [
        ListedItem(
            "final",
            "Final ranking",
            f"the run's own, {mixing.ranking}{taken}",
            [product(state, item, reply.list_of(item)) for item in final],
        )
    ]
    if reply.prompt is None:
        return listed
    has_id, has_title = bool(reply.ranked.has_id[0]), bool(reply.ranked.has_title[0])
    beams = reply.live[reply.response.items[:K]].tolist()
    listed += [
        ListedItem("beams", "LLM's likeliest", *_or("by beam search", beams, state, "the run asks for no beams")),
        _ranked(look, "id", "ID list", "near the generated ID", has_id),
        _ranked(look, "title", "Title list", "near the generated title", has_title),
        _ranked(look, "mixup", "Mixup", f"{mixing.m} of ID, then title list", has_id or has_title),
    ]
    return listed


def _or(note: str, items: Sequence[int], state: ServingState, empty: str) -> tuple[str, list[Product]]:
    return (note, [product(state, item) for item in items]) if items else (empty, [])


def _ranked(look: Explanation, name: str, title: str, note: str, there: bool) -> ListedItem:
    """The head of the catalogue as one list, or two, have it; of the ID list as far as it means something."""
    state, reply = look.state, look.reply
    assert name in ("id", "title", "mixup")
    if not there:
        return ListedItem(
            name, title, *_or(note, [], state, f"the answer has no {'known ID' if name == 'id' else 'title'}")
        )
    depth = min(K, state.rankers.id_depth) if name == "id" else K
    order = state.ranked_by(reply, name).final.top(depth)[0].numpy()  # type: ignore[arg-type]
    return ListedItem(name, title, note, [product(state, item) for item in reply.live[order].tolist()])
