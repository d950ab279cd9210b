"""Requests to the ASGI application, without Ray, a model or a network."""

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import math

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import RecommendRequest
from recbole_llmfashion.serving.web.errors import busy, unavailable
from recbole_llmfashion.serving.web.journal import Change
from recbole_llmfashion.serving.web.routes import make_web
from recbole_llmfashion.serving.web.settings import ServiceSettings
from tests.helpers.service import CLICK, Model, call

AUTH = [("Authorization", "Bearer s3cret")]


def web(model=None, **keys):
    return make_web(ServiceSettings(**{"run": None, "token": "s3cret", **keys}), model or Model())


def ask(app, body, **keys):
    return call(app, "POST", "/recommend", body, **keys)


def test_recommend():
    model = Model()
    status, _, answer = ask(web(model), {"actions": [CLICK], "k": 2, "now": 7, "explain": True})
    first = {"item": "a", "title": "A", "score": 2.0, "list": "id"}
    assert (status, answer["items"][0], len(answer["items"])) == (200, first, 2)
    assert model.requests == [RecommendRequest([CLICK], 2, 7.0, True)]
    assert ask(web(model), {"actions": []})[0] == 200 and model.requests[1] == RecommendRequest([], 10, None, False)


def test_left_out_actions_are_returned_and_counted():
    model = Model()
    app = web(model)
    assert "left_out" not in ask(app, {"actions": [CLICK]})[2]
    model.left_out = {"unknown_items": 2, "out_of_order": 1}
    assert ask(app, {"actions": [CLICK]})[2]["left_out"] == {"unknown_items": 2, "out_of_order": 1}
    ask(app, {"actions": [CLICK]})
    assert 'llmfashion_left_out_total{why="unknown_items"} 4.0' in call(app, "GET", "/metrics")[2].splitlines()


def test_missing_content_type():
    for kind in ("text/plain", "application/x-www-form-urlencoded"):  # the default of curl
        status, _, answer = ask(web(), {"actions": []}, kind=kind)
        assert status == 415 and "content-type: application/json" in answer["error"]


def nested(depth):
    """A body with an action of so many lists, as JSON: `json.dumps` has its own limit."""
    return b'{"actions": [{"action": ' + b"[" * depth + b"]" * depth + b"}]}"


BAD = [
    (b"{broken", 400, "not valid JSON"),
    (b"", 422, "Field required"),
    (b"\xff\xfe", 400, ""),
    (b"[" * 50_000, 400, ""),
    (b'{"actions": [], "now": ' + b"9" * 5000 + b"}", 400, ""),
    ([], 422, "dictionary"),
    ({}, 422, "actions: Field required"),
    ({"actions": "x"}, 422, "actions: Input should be a valid list"),
    ({"actions": [], "K": 3}, 422, "K: Extra inputs"),
    ({"actions": [], "k": "3"}, 422, "k: Input should be a valid integer"),
    ({"actions": [], "k": True}, 422, "k: "),
    ({"actions": [], "k": 101}, 422, "k: 101 is above this service's limit of 100"),
    ({"actions": [CLICK] * 1001}, 422, "actions: 1001 is above this service's limit of 1000"),
    *((nested(depth), 422, "actions: nested too deeply; expected at most 50 levels") for depth in (49, 450, 700, 900)),
]


@pytest.mark.parametrize(("body", "expected", "message"), BAD)
def test_invalid_body(body, expected, message):
    model = Model()
    status, _, answer = ask(web(model), body)
    assert status == expected and message in answer["error"] and "\n" not in answer["error"] and not model.requests


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (UserError("k: 11 is more than the 10 items"), 422, "k: 11 is more than the 10 items"),
        (UserError("no item '\ud800'"), 422, "no item '\ud800'"),
        (busy(), 429, "too many waiting requests; try again later"),
        (unavailable(), 503, "the model is being restarted; try again"),
        (ValueError("secret detail"), 500, "internal error; see the log of the service"),
    ],
)
def test_errors_of_the_model(error, expected, message):
    status, headers, answer = ask(web(Model(error)), {"actions": []})
    assert status == expected and ("retry-after" in headers) == (status in (429, 503))
    assert answer == {"error": message}


def test_body_above_the_limit():
    app, long = web(max_body=2000), {"actions": [{**CLICK, "query": "x" * 2000}]}
    assert ask(app, long)[0] == 413
    assert ask(app, b"", headers=[("Content-Length", "2001")], chunks=[])[0] == 413
    assert ask(app, b"", chunks=[b"x" * 1500] * 3)[0] == 413
    assert ask(web(), {"actions": [{"action": "search", "query": "boots " * 17_000, "timestamp": 5}]})[0] == 200


def test_slow_model_and_slow_client():
    status, _, answer = ask(web(Model(delay=5), timeout=0.1), {"actions": []})
    assert (status, answer) == (504, {"error": "no answer within 0.1 seconds"})
    status, headers, answer = ask(web(body_timeout=0.1), b"", chunks=[b"{"])
    assert (status, answer) == (408, {"error": "the body was not complete within 0.1 seconds"})
    assert headers["connection"] == "close"


def test_items_require_the_token():
    model, body = Model(), {"item_ids": ["a", "b", "a"]}
    for token, headers, expected in (
        (None, AUTH, 403), ("", AUTH, 403), ("s3cret", [], 401), ("s3cret", [("Authorization", "Bearer s3cre")], 401),
        ("s3cret", [("Authorization", "Basic s3cret")], 401), ("s3cret", [("Authorization", "Bearer é")], 401),
    ):  # fmt: skip
        for path, content in (("/items", {"items": []}), ("/items/remove", body)):
            status, _, answer = call(web(model, token=token), "POST", path, content, headers)
            assert status == expected and "s3cret" not in str(answer)
    assert not model.changes
    assert call(web(model), "POST", "/items/remove", body, AUTH)[::2] == (200, {"changed": 2})
    assert model.changes == [Change(remove=("a", "b"))]


def test_add_items():
    model = Model()
    item = {"item_id": "N1", "title": "Clog", "color": "teal"}
    assert call(web(model), "POST", "/items", {"items": [item]}, AUTH)[::2] == (200, {"changed": 1})
    assert model.changes == [Change(add=(item | {"category": "", "brand": "", "size": ""},))]
    # whether a run has an attribute is known to its replicas
    assert call(web(model), "POST", "/items", {"items": [item | {"material": "wool"}]}, AUTH)[0] == 200
    assert model.changes[1].add[0]["material"] == "wool"
    number = {"item_id": "N1", "title": "x", "material": 7}
    for bad in ([], [{"item_id": "N1"}], [{"item_id": 7, "title": "x"}], [number]):
        assert call(web(model), "POST", "/items", {"items": bad}, AUTH)[0] == 422
    for bad, name in (
        ({"item_id": "x" * 70_000, "title": "x"}, "item_id"), ({"item_id": "x" * 257, "title": "x"}, "item_id"),
        ({"item_id": "x", "title": "x" * 10**6}, "title"), ({"item_id": "x", "title": "é" * 1001}, "title"),
        *(({**item, field: "x" * 257}, field) for field in ("category", "brand", "color", "size", "material")),
    ):  # fmt: skip
        status, _, answer = call(web(model), "POST", "/items", {"items": [bad]}, AUTH)
        assert status == 422 and f"items.0.{name}: String should have at most" in answer["error"]
    assert call(web(model), "POST", "/items/remove", {"item_ids": ["x" * 257]}, AUTH)[0] == 422
    longest = {"item_id": "x" * 256, "title": "🙂" * 1000, "size": "s" * 256}
    assert call(web(model), "POST", "/items", {"items": [longest]}, AUTH)[0] == 200
    refused = call(web(Model(UserError("add: item 'N1' is there already"))), "POST", "/items", {"items": [item]}, AUTH)
    assert refused[::2] == (422, {"error": "add: item 'N1' is there already"})


def test_health_metrics_and_docs():
    model = Model()
    app = web(model)
    assert call(app, "GET", "/health")[::2] == (200, {"running": 1})
    model.up = 0
    assert call(app, "GET", "/health")[::2] == (503, {"error": "0 of 1 copies of the model are running"})
    assert call(web(model, replicas=3), "GET", "/health")[2] == {"error": "0 of 3 copies of the model are running"}
    model.up, model.fault = 2, "the journal of item changes is gone"
    assert call(web(model, replicas=3), "GET", "/health")[2] == {"error": "2 of 3 copies of the model are running"}
    assert call(web(model, replicas=2), "GET", "/health")[::2] == (503, {"error": model.fault})
    model.fault = None
    assert call(web(model, replicas=2), "GET", "/health")[::2] == (200, {"running": 2})
    ask(app, {"actions": []})
    ask(app, {"actions": [], "k": math.inf})
    assert call(app, "GET", "/nowhere")[::2] == (404, {"error": "Not Found"})
    assert call(app, "GET", "/recommend")[0] == 405
    assert call(app, "POST", "/recommend/")[::2] == (404, {"error": "Not Found"})  # no redirect
    status, headers, text = call(app, "GET", "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    for line in (
        'llmfashion_requests_total{path="/recommend",status="200"} 1.0',
        'llmfashion_requests_total{path="/recommend",status="422"} 1.0',
        'llmfashion_requests_total{path="/health",status="503"} 1.0',
        'llmfashion_requests_total{path="other",status="404"} 2.0',
        'llmfashion_items_total{list="title"} 1.0',
        "llmfashion_batch_sessions_sum 4.0",
        "llmfashion_requests_inside 1.0",
    ):
        assert line in text.splitlines(), line
    page = call(app, "GET", "/openapi.json")[2]
    assert set(page["paths"]) == {"/recommend", "/items", "/items/remove", "/health", "/metrics"}
    assert call(app, "GET", "/docs")[0] == 200
