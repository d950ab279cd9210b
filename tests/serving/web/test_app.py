"""The application on Ray Serve: HTTP requests, a full queue, a timeout, a replica that is killed under load."""

import json
import os
import signal
import socket
import threading
import time
from http.client import HTTPConnection
from types import SimpleNamespace

import psutil
import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.alone]
AUTH = {"Authorization": "Bearer s3cret"}


@pytest.fixture(scope="module")
def service(job, tmp_path_factory):
    """The service, started once; `call` returns (status, body)."""
    from ray import serve

    from recbole_llmfashion.distributed.cluster import cluster
    from recbole_llmfashion.serving.web.app import app

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]

    def call(method, path, body=None, headers=()):
        connection = HTTPConnection("127.0.0.1", port, timeout=300)
        headers = {"content-type": "application/json", **dict(headers)}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, json.loads(text) if path != "/metrics" else text

    def start(**keys):
        serve.run(app({"run": job.run, **{name: str(value) for name, value in keys.items()}}), name="shop")

    with cluster(None, num_cpus=2), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMFASHION_TOKEN", "s3cret")
        journal = tmp_path_factory.mktemp("journal") / "items.jsonl"
        patch.setenv("LLMFASHION_JOURNAL", str(journal))
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        yield SimpleNamespace(call=call, start=start, journal=journal, port=port)
        serve.shutdown()


def requests_and_lists(job, count):
    """Request bodies, and the lists of a local Recommender for each."""
    from recbole_llmfashion.serving.recommender import Recommender
    from tests.helpers.sessions import sessions

    recommender, pairs = Recommender.from_pretrained(job.run, min_askers=2), []
    for i, (actions, _) in enumerate(list(sessions(job.data).values()) * 10):
        if i == count:
            break
        cut = actions[: 1 + i % len(actions)]
        lines = recommender.recommend(cut, 10)
        pairs.append(({"actions": cut, "k": 10}, [(line.item, line.score, line.list) for line in lines]))
    return pairs


def model_pid():
    """Process id of the Model replica, a descendant of this process."""
    children = psutil.Process().children(recursive=True)
    (pid,) = [child.pid for child in children if "ServeReplica:shop:Model" in " ".join(child.cmdline())]
    return pid


def in_parallel(work, arguments):
    """Threads and their results, in order; one thread per call."""
    results = [None] * len(arguments)

    def run(i):
        try:
            results[i] = work(arguments[i])
        except Exception as error:  # no response, or one that is not JSON
            results[i] = (None, repr(error))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(arguments))]
    for thread in threads:
        thread.start()
    return threads, results


def call_at_once(service, pairs):
    """Results of all requests, sent in parallel."""
    threads, results = in_parallel(lambda pair: service.call("POST", "/recommend", pair[0]), pairs)
    for thread in threads:
        thread.join()
    return results


def as_lines(body):
    return [(line["item"], line["score"], line["list"]) for line in body["items"]]


def test_lists_limits_and_items(job, service):
    service.start(timeout=120)
    pairs = requests_and_lists(job, 12)
    results = call_at_once(service, pairs)
    for (status, body), (_, expected) in zip(results, pairs, strict=True):
        assert status == 200 and as_lines(body) == expected
    assert service.call("POST", "/recommend", {"actions": [], "k": 100})[0] == 200
    status, body = service.call("POST", "/recommend", {"actions": [{"action": "stare"}]})
    assert status == 422 and "\n" not in body["error"] and "Traceback" not in body["error"]
    assert service.call("POST", "/recommend", {"actions": ["x" * 2**20]})[0] == 413
    assert service.call("GET", "/health") == (200, {"running": 1})
    sizes = service.call("GET", "/metrics")[1]
    batches = next(float(line.split()[1]) for line in sizes.splitlines() if "batch_sessions_sum" in line)
    assert batches > 13  # some sessions shared a batch
    gone = pairs[0][1][0][0]
    assert service.call("POST", "/items/remove", {"item_ids": [gone]})[0] == 401
    assert service.call("POST", "/items/remove", {"item_ids": [gone]}, AUTH) == (200, {"changed": 1})
    assert gone not in [line[0] for line in as_lines(service.call("POST", "/recommend", pairs[0][0])[1])]
    os.kill(model_pid(), signal.SIGKILL)
    deadline = time.monotonic() + 240
    while (answer := service.call("POST", "/recommend", pairs[0][0]))[0] != 200:
        assert answer[0] in (503, 504) and time.monotonic() < deadline
        time.sleep(1)
    assert gone not in [line[0] for line in as_lines(answer[1])]  # the restarted replica has applied the removal
    item = {"item_id": gone, "title": next(line["title"] for line in answer[1]["items"])}
    assert service.call("POST", "/items", {"items": [item]}, AUTH)[0] == 200
    assert service.call("POST", "/items", {"items": [item]}, AUTH)[0] == 422
    kept = service.journal.read_bytes()
    os.truncate(service.journal, 0)
    for method, path, body in (("GET", "/health", None), ("POST", "/recommend", {"actions": []})):
        status, answer = service.call(method, path, body)
        assert status == 503 and answer["error"].startswith("the journal of item changes is empty")
    assert service.call("POST", "/items", {"items": [item | {"item_id": "N1"}]}, AUTH)[0] == 503
    service.journal.write_bytes(kept)
    assert service.call("POST", "/recommend", pairs[0][0])[0] == 200
    assert service.call("GET", "/health") == (200, {"running": 1})


def test_half_bodies_keep_no_place_from_others(job, service):
    """More of them than the service answers or lets wait; the room is 2 + 1."""
    service.start(timeout=120, body_timeout=20, queue=1, batch=1)
    ((good, _),) = requests_and_lists(job, 1)
    status, expected = service.call("POST", "/recommend", good)  # items were changed by other tests
    assert status == 200
    head = b"POST /recommend HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    halves = [socket.create_connection(("127.0.0.1", service.port), timeout=60) for _ in range(300)]
    for half in halves:
        half.sendall(head)
    time.sleep(1)  # until the service has them
    status, body = service.call("POST", "/recommend", good)
    assert status == 200 and as_lines(body) == as_lines(expected)
    assert service.call("GET", "/health")[0] == 200
    inside = [
        line
        for line in service.call("GET", "/metrics")[1].splitlines()
        if "requests_inside " in line and line[0] != "#"
    ]
    assert float(inside[0].split()[1]) > 200  # they were there
    answers = [half.recv(1000) for half in halves]
    assert all(b" 408 " in answer.splitlines()[0] for answer in answers)
    for half in halves:
        half.close()
    assert service.call("POST", "/recommend", good)[0] == 200


def test_full_queue(job, service):
    service.start(timeout=120, queue=1, batch=1)
    pairs = requests_and_lists(job, 24)
    results = call_at_once(service, pairs)
    assert {status for status, _ in results} == {200, 429}
    assert next(body for status, body in results if status == 429)["error"].startswith("too many waiting requests")


def test_timeout(job, service):
    service.start(timeout=0.1, batch=1, queue=64)
    pairs = requests_and_lists(job, 24)
    results = call_at_once(service, pairs)
    assert 504 in {status for status, _ in results} <= {200, 504}


def test_replica_killed_under_load(job, service, monkeypatch):
    monkeypatch.delenv("LLMFASHION_TOKEN")
    monkeypatch.delenv("LLMFASHION_JOURNAL")  # other tests removed items, and the journal holds without a token
    service.start(timeout=240, batch=2)
    pairs = requests_and_lists(job, 40)
    killed = model_pid()
    threads, results = in_parallel(lambda pair: service.call("POST", "/recommend", pair[0]), pairs)
    while not any(results):
        time.sleep(0.01)
    os.kill(killed, signal.SIGKILL)
    for thread in threads:
        thread.join()
    statuses = [status for status, _ in results]
    assert set(statuses) <= {200, 503} and statuses.count(200) > 20
    for (status, body), (_, expected) in zip(results, pairs, strict=True):
        assert status == 503 or as_lines(body) == expected
    assert model_pid() != killed and service.call("GET", "/health")[0] == 200
    assert service.call("POST", "/items/remove", {"item_ids": ["x"]})[0] == 403
