"""ASGI middleware: body size limit (413), timeout (504), and a count of each response.

The middleware receives the whole body before it calls the application. A body above the limit is never parsed, and the
timeout also covers a client that sends its body slowly.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from logging import getLogger
from typing import Any, Protocol

from recbole_llmfashion.serving.web.errors import RequestError, failed

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


class LimitsMiddleware:
    """Applies the limits to an ASGI application and counts its requests.

    Args:
        app: the wrapped application.
        counts: called for every request; a path outside `paths` is counted as "other".
        max_body: maximum body size in bytes.
        timeout: seconds for receiving the body and answering.
        paths: paths that are counted by name, so that arbitrary paths create no metric series.
    """

    def __init__(
        self, app: Application, counts: RequestCounts, max_body: int, timeout: float, paths: frozenset[str]
    ) -> None:
        self._app, self._counts, self._max_body, self._timeout, self._paths = app, counts, max_body, timeout, paths

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        requested = scope["path"].removeprefix(scope.get("root_path", ""))  # the application may be under a prefix
        path = requested if requested in self._paths else "other"
        sent = _StatusRecorder(send)
        start = time.monotonic()
        self._counts.started()
        try:
            await self._answer(scope, receive, sent)
        finally:
            self._counts.finished(path, sent.status or 499, time.monotonic() - start)  # 499: the client disconnected

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, sent: "_StatusRecorder") -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._app(scope, await self._buffered(scope, receive), sent)
        except RequestError as error:
            await send_error(error, sent)
        except TimeoutError:
            if not sent.status:
                await send_error(RequestError(504, f"no answer within {self._timeout:g} seconds"), sent)
        except Exception:
            getLogger(__name__).exception("a request failed")  # the traceback goes to the log, not to the client
            if not sent.status:
                await send_error(failed(), sent)

    async def _buffered(self, scope: MutableMapping[str, Any], receive: Receive) -> Receive:
        """Reads the body and returns a `receive` that replays it.

        Raises:
            RequestError: the body, or its Content-Length, exceeds the limit; the latter before the body is sent.
        """
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        body, more = b"", True
        while more:
            if len(body) > self._max_body or (declared.isdigit() and int(declared[:20]) > self._max_body):
                raise RequestError(413, f"the body is larger than {self._max_body} bytes")
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if len(body) > self._max_body:
            raise RequestError(413, f"the body is larger than {self._max_body} bytes")
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
