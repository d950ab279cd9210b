"""HTTP routes on FastAPI, which also generates the OpenAPI page.

The fields of an action are validated in serving/session.py, so HTTP and Python report the same errors.
"""

from typing import Annotated, Any, Protocol

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import BatchReply, Recommendation, RecommendRequest
from recbole_llmfashion.serving.web.errors import (
    RequestError,
    check_depth,
    check_size,
    check_token,
    failed,
    unavailable,
)
from recbole_llmfashion.serving.web.journal import Change
from recbole_llmfashion.serving.web.limits import Limits, LimitsMiddleware
from recbole_llmfashion.serving.web.metrics import Metrics
from recbole_llmfashion.serving.web.settings import ServiceSettings

ROOMED = frozenset({"/recommend", "/items", "/items/remove"})
PATHS = ROOMED | {"/health", "/metrics", "/docs", "/openapi.json"}
MAX_ID, MAX_TITLE, MAX_ATTRIBUTE = 256, 1000, 256  # characters; each list that holds an item repeats its id and title
EXAMPLE: list[Any] = [
    {"action": "search", "query": "red winter boots", "timestamp": 1700000000},
    {"action": "click", "item_id": "417496", "timestamp": 1700000060},
]


class Model(Protocol):
    """The model behind the routes. Methods raise UserError, or RequestError if the model is busy or unavailable."""

    async def recommend(self, request: RecommendRequest) -> BatchReply:
        """Recommends for one session."""

    async def change(self, change: Change) -> None:
        """Adds or removes items."""

    async def running(self) -> int:
        """Number of running copies of the model."""

    async def trouble(self) -> str | None:
        """Why running copies cannot answer; None if they can."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class SessionBody(_Strict):
    """The session of one customer."""

    actions: list[Any] = Field(description="click or purchase: item_id; search: query; all: timestamp in seconds")
    k: int = Field(10, description="number of items")
    now: float | None = Field(
        None, description="time of the recommendation in seconds; default: the time of the last action"
    )
    explain: bool = Field(False, description="add prompt and raw response to each item")
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [{"actions": EXAMPLE}]})


class Item(_Strict):
    """A new item, or a removed one that becomes available again; with any attribute that the run's prompts show."""

    __pydantic_extra__: dict[str, Annotated[str, Field(max_length=MAX_ATTRIBUTE)]]
    model_config = ConfigDict(strict=True, extra="allow")
    item_id: str = Field(max_length=MAX_ID)
    title: str = Field(max_length=MAX_TITLE)
    category: str = Field("", max_length=MAX_ATTRIBUTE)
    brand: str = Field("", max_length=MAX_ATTRIBUTE)
    color: str = Field("", max_length=MAX_ATTRIBUTE)
    size: str = Field("", max_length=MAX_ATTRIBUTE)


class Items(_Strict):
    """Items to add."""

    items: list[Item] = Field(min_length=1)


class ItemIds(_Strict):
    """Items to remove."""

    item_ids: list[Annotated[str, Field(max_length=MAX_ID)]] = Field(min_length=1)


class Recommendations(BaseModel):
    """Recommended items, best first."""

    items: list[Recommendation]
    left_out: dict[str, int] | None = Field(None, description="actions left out, reordered or shortened, by reason")


class ChangeDone(BaseModel):
    """Number of items added or removed."""

    changed: int


class Health(BaseModel):
    """Number of running copies of the model."""

    running: int


def make_web(settings: ServiceSettings, model: Model) -> LimitsMiddleware:
    """The ASGI application."""
    app = FastAPI(
        title="recbole_llmfashion",
        description="Recommendations for a session.",
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the client's own Host header
    )
    metrics = Metrics()
    _add_errors(app)
    _add_recommend(app, settings, model, metrics)
    _add_items(app, settings, model)

    @app.get("/health")
    async def health() -> Health:
        """200 if every copy of the model can answer, otherwise 503 with the reason."""
        running = await model.running()
        if running < settings.replicas:
            raise unavailable(f"{running} of {settings.replicas} copies of the model are running")
        reason = await model.trouble()
        if reason is not None:
            raise unavailable(reason)
        return Health(running=running)

    @app.get("/metrics", response_class=Response)
    async def counters() -> Response:
        """Metrics in Prometheus' text format."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    limits = Limits(settings.max_body, settings.body_timeout, settings.timeout, settings.room, PATHS, ROOMED)
    return LimitsMiddleware(app, metrics, limits)


def _add_recommend(app: FastAPI, settings: ServiceSettings, model: Model, metrics: Metrics) -> None:
    @app.post("/recommend", response_model_exclude_none=True)
    async def recommend(session: SessionBody) -> Recommendations:
        """The k best items for a session."""
        check_size("actions", len(session.actions), settings.max_actions)
        check_depth("actions", session.actions)
        check_size("k", session.k, settings.max_k)
        reply = await model.recommend(RecommendRequest(session.actions, session.k, session.now, session.explain))
        metrics.served(reply)
        return Recommendations(items=reply.response.lines, left_out=dict(reply.response.left_out) or None)


def _add_items(app: FastAPI, settings: ServiceSettings, model: Model) -> None:
    def with_token(authorization: Annotated[str | None, Header()] = None) -> None:
        check_token(authorization, settings.token)

    @app.post("/items", dependencies=[Depends(with_token)])
    async def add(items: Items) -> ChangeDone:
        """Adds items; they can be recommended from the next request on."""
        await model.change(Change(add=tuple(item.model_dump() for item in items.items)))
        return ChangeDone(changed=len(items.items))

    @app.post("/items/remove", dependencies=[Depends(with_token)])
    async def remove(items: ItemIds) -> ChangeDone:
        """Removes items; they are not recommended from the next request on."""
        ids = tuple(dict.fromkeys(items.item_ids))
        await model.change(Change(remove=ids))
        return ChangeDone(changed=len(ids))


def _add_errors(app: FastAPI) -> None:
    """Every error becomes one line of JSON."""

    async def rejected(request: Request, error: Exception) -> Response:
        return _response(error if isinstance(error, RequestError) else RequestError(422, str(error)))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if "json" not in request.headers.get("content-type", ""):
            return _response(
                RequestError(415, "the body must be JSON; send the header `content-type: application/json`")
            )
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return _response(RequestError(400, "the body is not valid JSON"))
        place = ".".join(map(str, first["loc"][1:]))
        return _response(RequestError(422, f"{place or 'body'}: {first['msg']}"))

    async def other(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _response(RequestError(error.status_code, str(error.detail), dict(error.headers or {})))

    async def fault(request: Request, error: Exception) -> Response:
        return _response(failed())  # Starlette re-raises the error, and LimitsMiddleware logs it

    app.add_exception_handler(Exception, fault)
    app.add_exception_handler(RequestError, rejected)
    app.add_exception_handler(UserError, rejected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)


def _response(error: RequestError) -> Response:
    return Response(error.body, error.status, error.headers, "application/json")
