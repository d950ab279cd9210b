"""Around any ASGI application: the body's limit (413), the timeout (504), the count of each answer. Reads no body.

The body is gathered here, so that nothing larger than the limit is ever parsed and a client that sends it byte by byte
runs into the timeout as well. It does not know what the application answers.
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
    """What is told of each request."""

    def entered(self) -> None:
        """It came in."""

    def left(self, path: str, status: int, seconds: float) -> None:
        """It was answered."""


class LimitsMiddleware:
    """See the module.

    Args:
        app: what answers.
        counts: told of every request; a path that is not in `paths` counts as "other".
        max_body: bytes.
        timeout: seconds for body and answer together.
        paths: known ones; a scraper must not get a series for whatever a stranger types.
    """

    def __init__(
        self, app: Application, counts: RequestCounts, max_body: int, timeout: float, paths: frozenset[str]
    ) -> None:
        self._app, self._counts, self._max_body, self._timeout, self._paths = app, counts, max_body, timeout, paths

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        asked = scope["path"].removeprefix(scope.get("root_path", ""))  # where an application stands under a prefix
        path = asked if asked in self._paths else "other"
        sent = _Sent(send)
        start = time.monotonic()
        self._counts.entered()
        try:
            await self._answer(scope, receive, sent)
        finally:
            self._counts.left(path, sent.status or 499, time.monotonic() - start)  # 499: the client went away

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, sent: "_Sent") -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._app(scope, await self._gathered(scope, receive), sent)
        except RequestError as error:
            await refuse(error, sent)
        except TimeoutError:
            if not sent.status:
                await refuse(RequestError(504, f"no answer within {self._timeout:g} seconds"), sent)
        except Exception:
            getLogger(__name__).exception("a request failed")  # the caller gets no traceback, the log does
            if not sent.status:
                await refuse(failed(), sent)

    async def _gathered(self, scope: MutableMapping[str, Any], receive: Receive) -> Receive:
        """The body, read once and played back.

        Raises:
            RequestError: it is too large; what is said to come is believed, so that it need not be sent.
        """
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        body, more = b"", True
        while more:
            if len(body) > self._max_body or (said.isdigit() and int(said[:20]) > self._max_body):
                raise RequestError(413, f"the body is larger than {self._max_body} bytes")
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if len(body) > self._max_body:
            raise RequestError(413, f"the body is larger than {self._max_body} bytes")
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Message:
            return next(messages, None) or await receive()

        return again


class _Sent:
    """Passes messages on and remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send, self.status = send, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


async def refuse(error: RequestError, send: Send) -> None:
    """Answers with the error alone."""
    headers = {"content-type": "application/json", "content-length": str(len(error.body)), **error.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": error.body})
