"""Body size limit, timeout and request counts of the middleware, around a small ASGI application."""

import asyncio

from recbole_llmfashion.serving.web.errors import RequestError
from recbole_llmfashion.serving.web.limits import LimitsMiddleware
from tests.helpers.service import call


class Counts:
    """Records (path, status) of each finished request."""

    def __init__(self):
        self.running, self.requests = 0, []

    def started(self):
        self.running += 1

    def finished(self, path, status, seconds):
        assert seconds >= 0
        self.running -= 1
        self.requests.append((path, status))


async def echo(scope, receive, send):
    """Returns the body."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


def limited(app=echo, max_body=10, timeout=5.0):
    counts = Counts()
    return LimitsMiddleware(app, counts, max_body, timeout, frozenset({"/known"})), counts


def test_body_at_and_above_the_limit():
    app, counts = limited()
    assert call(app, "POST", "/known", b"x" * 10)[::2] == (200, "x" * 10)
    assert call(app, "POST", "/known", b"x" * 11)[::2] == (413, {"error": "the body is larger than 10 bytes"})
    assert call(app, "POST", "/known", chunks=[b"x" * 8] * 3)[0] == 413
    assert counts.requests == [("/known", 200), ("/known", 413), ("/known", 413)] and counts.running == 0


def test_declared_length_is_rejected_before_the_body():
    app, _ = limited()
    assert call(app, "POST", "/known", headers=[("Content-Length", "11")], chunks=[])[0] == 413
    assert call(app, "POST", "/known", b"xy", headers=[("Content-Length", "many")])[::2] == (200, "xy")


def test_timeout_of_application_and_client():
    async def slow(scope, receive, send):
        await asyncio.sleep(5)

    app, counts = limited(slow, timeout=0.1)
    assert call(app, "GET", "/known")[::2] == (504, {"error": "no answer within 0.1 seconds"})
    app, _ = limited(timeout=0.1)
    assert call(app, "POST", "/known", chunks=[b"x"])[0] == 504
    assert counts.requests == [("/known", 504)]


def test_errors_and_unknown_paths():
    async def fails(scope, receive, send):
        raise RequestError(418, "teapot") if scope["path"] == "/known" else ZeroDivisionError

    app, counts = limited(fails)
    assert call(app, "GET", "/known")[::2] == (418, {"error": "teapot"})
    assert call(app, "GET", "/elsewhere")[::2] == (500, {"error": "internal error; see the log of the service"})
    assert counts.requests == [("/known", 418), ("other", 500)]


def test_other_protocols_pass_through():
    calls = []

    async def record(scope, receive, send):
        calls.append(scope["type"])

    app, counts = limited(record)
    asyncio.run(app({"type": "lifespan"}, None, None))
    assert calls == ["lifespan"] and counts.requests == []
