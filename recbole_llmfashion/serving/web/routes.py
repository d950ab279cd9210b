"""The routes: JSON to a call of the model and back, on FastAPI, which makes the OpenAPI page of them. Knows no Ray.

An action's inside is checked where it is read (serving/session.py), so that HTTP and Python say the same about it.
"""

from typing import Annotated, Any, Protocol

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import BatchReply, Recommendation, RecommendRequest
from recbole_llmfashion.serving.web.errors import RequestError, check_size, check_token, failed
from recbole_llmfashion.serving.web.item_changes import Change
from recbole_llmfashion.serving.web.limits import LimitsMiddleware
from recbole_llmfashion.serving.web.metrics import Metrics
from recbole_llmfashion.serving.web.settings import ServiceSettings

PATHS = frozenset({"/recommend", "/items", "/items/remove", "/health", "/metrics", "/docs", "/openapi.json"})
EXAMPLE: list[Any] = [
    {"action": "search", "query": "red winter boots", "timestamp": 1700000000},
    {"action": "click", "item_id": "516738", "timestamp": 1700000060},
]


class Model(Protocol):
    """Whoever answers. Its methods raise UserError, or RequestError where it has no time or is gone."""

    async def recommend(self, ask: RecommendRequest) -> BatchReply:
        """A list."""

    async def change(self, change: Change) -> None:
        """Items come or go."""

    async def running(self) -> int:
        """Copies of the model that are up."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class SessionBody(_Strict):
    """What one customer did."""

    actions: list[Any] = Field(description="click or purchase: item_id; search: query; all: timestamp in seconds")
    k: int = Field(10, description="items")
    now: float | None = Field(None, description="the moment of the recommendation; the last action's where not given")
    explain: bool = Field(False, description="prompt and raw response in each line")
    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [{"actions": EXAMPLE}]})


class Item(_Strict):
    """A new item, or a removed one with its words."""

    item_id: str
    title: str
    category: str = ""
    brand: str = ""
    color: str = ""
    size: str = ""


class Items(_Strict):
    """Items to add."""

    items: list[Item] = Field(min_length=1)


class ItemIds(_Strict):
    """Items to remove."""

    item_ids: list[str] = Field(min_length=1)


class Recommendations(BaseModel):
    """Best first."""

    items: list[Recommendation]
    left_out: dict[str, int] | None = Field(None, description="actions that were left out or put in order, by why")


class ChangeDone(BaseModel):
    """How many items came or went."""

    changed: int


class Health(BaseModel):
    """Copies of the model that are up."""

    running: int


def make_web(settings: ServiceSettings, model: Model) -> LimitsMiddleware:
    """The ASGI application."""
    app = FastAPI(title="recbole_llmfashion", description="Ten items for what a customer did.", redoc_url=None)
    metrics = Metrics()
    _add_errors(app)
    _add_recommend(app, settings, model, metrics)
    _add_items(app, settings, model)

    @app.get("/health")
    async def health() -> Health:
        """200 while a copy of the model is up, 503 otherwise."""
        running = await model.running()
        if not running:
            raise RequestError(503, "no copy of the model is up")
        return Health(running=running)

    @app.get("/metrics", response_class=Response)
    async def counters() -> Response:
        """Prometheus' text format."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    return LimitsMiddleware(app, metrics, settings.max_body, settings.timeout, PATHS)


def _add_recommend(app: FastAPI, settings: ServiceSettings, model: Model, metrics: Metrics) -> None:
    @app.post("/recommend", response_model_exclude_none=True)
    async def recommend(session: SessionBody) -> Recommendations:
        """The k best items for a session."""
        check_size("actions", len(session.actions), settings.max_actions)
        check_size("k", session.k, settings.max_k)
        answer = await model.recommend(RecommendRequest(session.actions, session.k, session.now, session.explain))
        metrics.answered(answer)
        return Recommendations(items=answer.listed.lines, left_out=dict(answer.listed.left_out) or None)


def _add_items(app: FastAPI, settings: ServiceSettings, model: Model) -> None:
    def with_token(authorization: Annotated[str | None, Header()] = None) -> None:
        check_token(authorization, settings.token)

    @app.post("/items", dependencies=[Depends(with_token)])
    async def add(items: Items) -> ChangeDone:
        """New items, in lists from the next request on."""
        await model.change(Change(add=tuple(item.model_dump() for item in items.items)))
        return ChangeDone(changed=len(items.items))

    @app.post("/items/remove", dependencies=[Depends(with_token)])
    async def remove(items: ItemIds) -> ChangeDone:
        """Items that are in no list from the next request on."""
        ids = tuple(dict.fromkeys(items.item_ids))
        await model.change(Change(remove=ids))
        return ChangeDone(changed=len(ids))


def _add_errors(app: FastAPI) -> None:
    """Whatever goes wrong is one line of JSON."""

    async def refused(request: Request, error: Exception) -> Response:
        return _told(error if isinstance(error, RequestError) else RequestError(422, str(error)))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if "json" not in request.headers.get("content-type", ""):
            return _told(
                RequestError(415, "the body is read as JSON; send the header `content-type: application/json`")
            )
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return _told(RequestError(400, "the body is no JSON"))
        place = ".".join(map(str, first["loc"][1:]))
        return _told(RequestError(422, f"{place or 'body'}: {first['msg']}"))

    async def other(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _told(RequestError(error.status_code, str(error.detail), dict(error.headers or {})))

    async def fault(request: Request, error: Exception) -> Response:
        return _told(failed())  # the error itself goes on to LimitsMiddleware, which logs it

    app.add_exception_handler(Exception, fault)
    app.add_exception_handler(RequestError, refused)
    app.add_exception_handler(UserError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)


def _told(error: RequestError) -> Response:
    return Response(error.body, error.status, error.headers, "application/json")
