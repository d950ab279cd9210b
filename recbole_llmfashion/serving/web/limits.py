"""ASGI middleware: limits of body size (413), body time (408), number (429) and time (504), and a count of responses.

    headers -> whole body, within body_timeout -> a place in the room, or 429 -> the application, within timeout

The middleware receives the whole body before it takes a place or calls the application: a body above the limit is never
parsed, and clients that send half a body keep no place from others. Paths outside of `roomed` need no place, so health
and metrics are answered while the room is full.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Protocol

from recbole_llmfashion.serving.web.errors import RequestError, busy, failed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class RequestCounts(Protocol):
    """Callbacks for each request."""

    def started(self) -> None:
        """A request arrived."""

    def finished(self, path: str, status: int, seconds: float) -> None:
        """A request was answered."""


@dataclass(frozen=True)
class Limits:
    """Limits of each request.

    Args:
        max_body: maximum body size in bytes.
        body_timeout: seconds for receiving the body.
        timeout: seconds for answering after that.
        room: maximum number of requests to `roomed` paths that are answered or wait.
        paths: paths that are counted by name, so that arbitrary paths create no metric series.
        roomed: paths whose requests need a place in the room.
    """

    max_body: int
    body_timeout: float
    timeout: float
    room: int
    paths: frozenset[str]
    roomed: frozenset[str]


class LimitsMiddleware:
    """Applies the limits to an ASGI application and counts its requests.

    Args:
        app: the wrapped application.
        counts: called for every request; a path outside `limits.paths` is counted as "other".
        limits: the limits.
    """

    def __init__(self, app: Application, counts: RequestCounts, limits: Limits) -> None:
        self._app, self._counts, self._limits, self._inside = app, counts, limits, 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        requested = scope["path"].removeprefix(scope.get("root_path", ""))  # the application may be under a prefix
        path = requested if requested in self._limits.paths else "other"
        sent = _StatusRecorder(send)
        start = time.monotonic()
        self._counts.started()
        try:
            await self._answer(path, scope, receive, sent)
        finally:
            self._counts.finished(path, sent.status or 499, time.monotonic() - start)  # 499: the client disconnected

    async def _answer(
        self, path: str, scope: MutableMapping[str, Any], receive: Receive, sent: "_StatusRecorder"
    ) -> None:
        try:
            body = await self._body(scope, receive)
            with self._place(path):
                async with asyncio.timeout(self._limits.timeout):
                    await self._app(scope, _replay(body, receive), sent)
        except RequestError as error:
            await send_error(error, sent)
        except _DisconnectedError:
            pass
        except TimeoutError:
            if not sent.status:
                await send_error(RequestError(504, f"no answer within {self._limits.timeout:g} seconds"), sent)
        except Exception:
            getLogger(__name__).exception("a request failed")  # the traceback goes to the log, not to the client
            if not sent.status:
                await send_error(failed(), sent)

    @contextmanager
    def _place(self, path: str) -> Iterator[None]:
        """A place in the room.

        Raises:
            RequestError: 429, the room is full.
        """
        needed = path in self._limits.roomed
        if needed and self._inside >= self._limits.room:
            raise busy()
        self._inside += needed
        try:
            yield
        finally:
            self._inside -= needed

    async def _body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        """The body of the request.

        Raises:
            RequestError: the body, or its Content-Length, exceeds the limit, the latter before the body is sent; or it
                is not complete in time.
        """
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                return await self._received(scope, receive)
        except TimeoutError:
            late = f"the body was not complete within {self._limits.body_timeout:g} seconds"
            raise RequestError(408, late, {"Connection": "close"}) from None

    async def _received(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        most = self._limits.max_body
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        body, more = bytearray(), True
        while more:
            if len(body) > most or (declared.isdigit() and int(declared[:20]) > most):
                raise RequestError(413, f"the body is larger than {most} bytes", {"Connection": "close"})
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if len(body) > most:
            raise RequestError(413, f"the body is larger than {most} bytes", {"Connection": "close"})
        return bytes(body)


class _DisconnectedError(Exception):
    """The client went away before its body was complete."""


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the whole body first."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        return next(messages, None) or await receive()

    return replay


class _StatusRecorder:
    """Forwards messages and records the response status, 0 before the response has started."""

    def __init__(self, send: Send) -> None:
        self._send, self.status = send, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


async def send_error(error: RequestError, send: Send) -> None:
    """Sends the error as the whole response."""
    headers = {"content-type": "application/json", "content-length": str(len(error.body)), **error.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": error.body})
