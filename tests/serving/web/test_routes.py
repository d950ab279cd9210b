"""Statuses, limits and the token, by requests to the ASGI application; no Ray, no model, no network."""

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import math

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import RecommendRequest
from recbole_llmfashion.serving.web.errors import busy, unavailable
from recbole_llmfashion.serving.web.item_changes import Change
from recbole_llmfashion.serving.web.routes import make_web
from recbole_llmfashion.serving.web.settings import ServiceSettings
from tests.helpers.service import CLICK, Model, call

AUTH = [("Authorization", "Bearer s3cret")]


def web(model=None, **keys):
    return make_web(ServiceSettings(**{"run": None, "token": "s3cret", **keys}), model or Model())


def ask(app, body, **keys):
    return call(app, "POST", "/recommend", body, **keys)


def test_a_session_in_a_list_out():
    model = Model()
    status, _, answer = ask(web(model), {"actions": [CLICK], "k": 2, "now": 7, "explain": True})
    first = {"item": "a", "title": "A", "score": 2.0, "list": "id"}
    assert (status, answer["items"][0], len(answer["items"])) == (200, first, 2)
    assert model.inference == [RecommendRequest([CLICK], 2, 7.0, True)]
    assert ask(web(model), {"actions": []})[0] == 200 and model.inference[1] == RecommendRequest([], 10, None, False)


def test_what_a_session_lost_is_said_and_counted():
    model = Model()
    app = web(model)
    assert "left_out" not in ask(app, {"actions": [CLICK]})[2]
    model.left_out = {"unknown_items": 2, "out_of_order": 1}
    assert ask(app, {"actions": [CLICK]})[2]["left_out"] == {"unknown_items": 2, "out_of_order": 1}
    ask(app, {"actions": [CLICK]})
    assert 'llmfashion_left_out_total{why="unknown_items"} 4.0' in call(app, "GET", "/metrics")[2].splitlines()


def test_a_body_that_is_not_sent_as_json_says_which_header_is_missing():
    for kind in ("text/plain", "application/x-www-form-urlencoded"):  # what curl sends by itself
        status, _, answer = ask(web(), {"actions": []}, kind=kind)
        assert status == 415 and "content-type: application/json" in answer["error"]


BAD = [
    (b"{broken", 400, "no JSON"),
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
    ({"actions": [], "k": 101}, 422, "k: 101 is more than the 100"),
    ({"actions": [CLICK] * 1001}, 422, "actions: 1001 is more than the 1000"),
]


@pytest.mark.parametrize(("body", "expected", "said"), BAD)
def test_a_bad_body_is_one_line_and_asks_nothing(body, expected, said):
    model = Model()
    status, _, answer = ask(web(model), body)
    assert status == expected and said in answer["error"] and "\n" not in answer["error"] and not model.inference


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (UserError("k: 11 is more than the 10 items"), 422, "k: 11 is more than the 10 items"),
        (UserError("no item '\ud800'"), 422, "no item '\ud800'"),
        (busy(), 429, "too many requests wait; ask again later"),
        (unavailable(), 503, "the model is being restarted; ask again"),
        (ValueError("secret detail"), 500, "the service failed; its log says why"),
    ],
)
def test_an_error_of_the_model_is_a_status_and_one_line(error, expected, said):
    status, headers, answer = ask(web(Model(error)), {"actions": []})
    assert status == expected and ("retry-after" in headers) == (status in (429, 503))
    assert answer == {"error": said}


def test_a_body_over_the_limit_is_not_read_to_its_end():
    app, long = web(max_body=2000), {"actions": [{**CLICK, "query": "x" * 2000}]}
    assert ask(app, long)[0] == 413
    assert ask(app, b"", headers=[("Content-Length", "2001")], chunks=[])[0] == 413
    assert ask(app, b"", chunks=[b"x" * 1500] * 3)[0] == 413
    assert ask(web(), {"actions": [{"action": "search", "query": "boots " * 17_000, "timestamp": 5}]})[0] == 200


def test_a_slow_model_and_a_slow_client_get_504():
    status, _, answer = ask(web(Model(delay=5), timeout=0.1), {"actions": []})
    assert (status, answer) == (504, {"error": "no answer within 0.1 seconds"})
    assert ask(web(timeout=0.1), b"", chunks=[b"{"])[0] == 504


def test_items_need_the_token():
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


def test_items_to_add():
    model = Model()
    item = {"item_id": "N1", "title": "Clog", "color": "teal"}
    assert call(web(model), "POST", "/items", {"items": [item]}, AUTH)[::2] == (200, {"changed": 1})
    assert model.changes == [Change(add=(item | {"category": "", "brand": "", "size": ""},))]
    for bad in ({"items": []}, {"items": [{"item_id": "N1"}]}, {"items": [{"item_id": 7, "title": "x"}]}):
        assert call(web(model), "POST", "/items", bad, AUTH)[0] == 422
    refused = call(web(Model(UserError("add: item 'N1' is there already"))), "POST", "/items", {"items": [item]}, AUTH)
    assert refused[::2] == (422, {"error": "add: item 'N1' is there already"})


def test_health_metrics_and_the_page():
    model = Model()
    app = web(model)
    assert call(app, "GET", "/health")[::2] == (200, {"running": 1})
    model.up = 0
    assert call(app, "GET", "/health")[0] == 503
    ask(app, {"actions": []})
    ask(app, {"actions": [], "k": math.inf})
    assert call(app, "GET", "/nowhere")[::2] == (404, {"error": "Not Found"})
    assert call(app, "GET", "/recommend")[0] == 405
    status, headers, text = call(app, "GET", "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    for line in (
        'llmfashion_requests_total{path="/recommend",status="200"} 1.0',
        'llmfashion_requests_total{path="/recommend",status="422"} 1.0',
        'llmfashion_requests_total{path="/health",status="503"} 1.0',
        'llmfashion_requests_total{path="other",status="404"} 1.0',
        'llmfashion_items_total{list="title"} 1.0',
        "llmfashion_batch_sessions_sum 4.0",
        "llmfashion_requests_inside 1.0",
    ):
        assert line in text.splitlines(), line
    page = call(app, "GET", "/openapi.json")[2]
    assert set(page["paths"]) == {"/recommend", "/items", "/items/remove", "/health", "/metrics"}
    assert call(app, "GET", "/docs")[0] == 200
