"""Stand-ins for a Recommender, a model behind a handle, and an HTTP client without a network."""

import asyncio
import json

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import BatchReply, Recommendation, RecommendResponse
from recbole_llmfashion.serving.next_items import ChangeError

CLICK = {"action": "click", "item_id": "a", "timestamp": 5}


class Shop:
    """A Recommender whose lists are its items in alphabetical order."""

    attributes = ("color", "material")

    def __init__(self, *items):
        self.there = set(items)

    def recommend_many(self, requests):
        return [self._list(request) for request in requests]

    def _list(self, request):
        if request.k > len(self.there):
            return UserError(f"k: {request.k} is more than the {len(self.there)} items; choose a smaller k")
        return RecommendResponse([Recommendation(item, item, 1.0, "title") for item in sorted(self.there)[: request.k]])

    def add_items(self, frame):
        if self.there & set(frame["item_id"]):
            raise UserError("add: is there already")
        self.there |= set(frame["item_id"])

    def remove_items(self, items):
        if set(items) - self.there:
            raise UserError("remove: no item")
        self.there -= set(items)

    def change_items(self, changes):
        for made, change in enumerate(changes):
            try:
                self.add_items(change) if isinstance(change, pd.DataFrame) else self.remove_items(change)
            except Exception as error:
                raise ChangeError(made) from error


class Model:
    """The Model protocol of routes.py: records its requests, and raises `error` if given."""

    def __init__(self, error=None, delay=0.0):
        self.error, self.delay, self.requests, self.changes, self.up = error, delay, [], [], 1
        self.left_out, self.fault = {}, None

    async def recommend(self, request):
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        if self.error:
            raise self.error
        lines = [Recommendation("a", "A", 2.0, "id"), Recommendation("b", "B", 1.0, "title")]
        return BatchReply(RecommendResponse(lines, self.left_out), 4)

    async def change(self, change):
        self.changes.append(change)
        if self.error:
            raise self.error

    async def running(self):
        return self.up

    async def trouble(self):
        return self.fault


def call(app, method, path, body=b"", headers=(), chunks=None, kind="application/json"):
    """(status, headers, body) of one request to an ASGI application; a JSON body is parsed."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = iter(chunks if chunks is not None else [raw])
    lines = [(b"content-type", kind.encode()), *((n.lower().encode(), v.encode()) for n, v in headers)]
    scope = {
        "type": "http", "method": method, "path": path, "headers": lines, "query_string": b"", "root_path": "",
        "http_version": "1.1", "scheme": "http", "server": ("test", 80), "client": ("test", 1),
        "asgi": {"version": "3.0"},
    }  # fmt: skip
    sent = []

    async def receive():
        part = next(parts, None)
        if part is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": part, "more_body": chunks is not None}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    text = b"".join(message.get("body", b"") for message in sent[1:])
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, json.loads(text) if "json" in found.get("content-type", "") else text.decode()
