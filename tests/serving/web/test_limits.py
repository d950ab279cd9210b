"""Body size limit, timeout and request counts of the middleware, around a small ASGI application."""

import asyncio

from recbole_llmfashion.serving.web.errors import RequestError
from recbole_llmfashion.serving.web.limits import Limits, LimitsMiddleware
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


def limited(app=echo, max_body=10, timeout=5.0, body_timeout=5.0, room=9):
    counts, known = Counts(), frozenset({"/known"})
    return LimitsMiddleware(app, counts, Limits(max_body, body_timeout, timeout, room, known, known)), counts


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
    assert counts.requests == [("/known", 504)]
    app, counts = limited(body_timeout=0.1)
    assert call(app, "POST", "/known", chunks=[b"x"])[0] == 408
    assert counts.requests == [("/known", 408)]


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


def at_once(app, requests):
    """Statuses of requests that run together, as (path, body); a body of None never ends. In order of their ends."""

    async def one(path, body):
        sent, parts = [], iter([b"half" if body is None else body])

        async def receive():
            part = next(parts, None)
            if part is None:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": part, "more_body": body is None}

        async def send(message):
            sent.append(message)

        await app({"type": "http", "path": path, "headers": []}, receive, send)
        statuses.append((path, sent[0]["status"] if sent else None))

    async def everything():
        async with asyncio.TaskGroup() as group:
            for path, body in requests:
                group.create_task(one(path, body))

    statuses = []
    asyncio.run(everything())
    return statuses


def test_half_bodies_take_no_place():
    app, _ = limited(room=1, body_timeout=0.3)
    statuses = at_once(app, [*[("/known", None)] * 50, ("/known", b"whole"), ("/elsewhere", b"")])
    assert statuses == [("/known", 200), ("/elsewhere", 200), *[("/known", 408)] * 50]


def test_a_full_room_rejects_only_what_needs_a_place():
    release = asyncio.Event()

    async def waits(scope, receive, send):
        if scope["path"] == "/known":
            await release.wait()
        else:
            release.set()
        await echo(scope, receive, send)

    app, _ = limited(waits, room=2)
    statuses = at_once(app, [*[("/known", b"x")] * 5, ("/elsewhere", b"")])
    assert statuses == [*[("/known", 429)] * 3, ("/elsewhere", 200), *[("/known", 200)] * 2]
    assert app._inside == 0  # places are given back


def test_a_client_that_leaves_within_its_body_reaches_no_application():
    app, counts = limited(lambda *arguments: 1 / 0)
    messages = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    asyncio.run(app({"type": "http", "path": "/known", "headers": []}, receive, None))
    assert counts.requests == [("/known", 499)] and app._inside == 0
