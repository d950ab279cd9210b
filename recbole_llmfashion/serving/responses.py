"""The response to a request, from the ranked reply to its session."""

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import Recommendation, RecommendRequest, RecommendResponse
from recbole_llmfashion.serving.session import Session
from recbole_llmfashion.serving.state import RankedReply, ServingState


def check_k(k: int, live: int, masked: int) -> None:
    """Checks the number of requested items.

    Args:
        k: that number.
        live: items that can be recommended.
        masked: those of them that `mask_history` leaves out.

    Raises:
        UserError: k is not a number from 1 to live - masked.
    """
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise UserError(f"k: expected an integer of 1 or more, found {k!r}")
    if k > live - masked:
        excluded = f", {masked} of them excluded because the session contains them" if masked else ""
        raise UserError(f"k: {k} is more than the {live} items{excluded}; choose a smaller k")


def response_of(
    request: RecommendRequest, state: ServingState, reply: RankedReply, session: Session, masked: frozenset[int]
) -> RecommendResponse:
    """The k best items of a reply.

    Args:
        request: k, and whether each line has prompt and response.
        state: that made the reply.
        reply: to the session.
        session: of the request.
        masked: catalogue positions that are left out of the list.
    """
    head = reply.top(request.k + len(masked))
    ranked = [(place, item) for place, item in enumerate(head) if item not in masked]
    texts = _prompt_and_response(state, reply) if request.explain else (None, None)
    lines = [_line(reply, state, place, item, *texts) for place, item in ranked[: request.k]]
    return RecommendResponse(lines, left_out(session, reply))


def left_out(session: Session, reply: RankedReply) -> dict[str, int]:
    """What the prompt does not show of a session: actions that were left out or reordered, and ends of long texts."""
    shortened = reply.prompt.shortened if reply.prompt is not None else 0
    return dict(session.left_out) | ({"shortened_texts": shortened} if shortened else {})


def _prompt_and_response(state: ServingState, reply: RankedReply) -> tuple[str | None, str | None]:
    """The prompt as text and the raw response; (None, None) for a session without a prompt."""
    if reply.prompt is None:
        return None, None
    return state.decoder.decode(reply.prompt.ids.tolist(), clean_up_tokenization_spaces=False), reply.response.text


def _line(
    reply: RankedReply, state: ServingState, place: int, item: int, prompt: str | None, response: str | None
) -> Recommendation:
    catalogue = state.pool.catalogue
    score = float(len(reply.live) - place)
    return Recommendation(
        catalogue.item_ids[item], catalogue.titles[item], score, reply.list_of(item), prompt, response
    )
